// The words of the model, both ways. Each table is the one place where a word is spelled.
#include <array>
#include <utility>

#include "model/channel.hpp"
#include "model/charge.hpp"
#include "model/manifest.hpp"
#include "model/span.hpp"

namespace prony {

namespace {

template <class E, std::size_t N>
constexpr std::string_view word_of(const std::array<std::pair<E, std::string_view>, N>& table, E value) noexcept {
  for (const auto& [key, word] : table)
    if (key == value) return word;
  return "unknown";
}
template <class E, std::size_t N>
constexpr std::optional<E> value_of(const std::array<std::pair<E, std::string_view>, N>& table,
                                    std::string_view text) noexcept {
  for (const auto& [key, word] : table)
    if (word == text) return key;
  return std::nullopt;
}

constexpr std::array<std::pair<Measure, std::string_view>, 14> measures{{{Measure::energy, "energy"},
                                                                         {Measure::power, "power"},
                                                                         {Measure::voltage, "voltage"},
                                                                         {Measure::current, "current"},
                                                                         {Measure::temperature, "temperature"},
                                                                         {Measure::frequency, "frequency"},
                                                                         {Measure::fan_speed, "fan_speed"},
                                                                         {Measure::cpu_time, "cpu_time"},
                                                                         {Measure::memory, "memory"},
                                                                         {Measure::data, "data"},
                                                                         {Measure::count, "count"},
                                                                         {Measure::time, "time"},
                                                                         {Measure::stored_energy, "stored_energy"},
                                                                         {Measure::fraction, "fraction"}}};
constexpr std::array<std::pair<Measure, std::string_view>, 14> units{{{Measure::energy, "J"},
                                                                      {Measure::power, "W"},
                                                                      {Measure::voltage, "V"},
                                                                      {Measure::current, "A"},
                                                                      {Measure::temperature, "celsius"},
                                                                      {Measure::frequency, "Hz"},
                                                                      {Measure::fan_speed, "rpm"},
                                                                      {Measure::cpu_time, "s"},
                                                                      {Measure::memory, "bytes"},
                                                                      {Measure::data, "bytes"},
                                                                      {Measure::count, "1"},
                                                                      {Measure::time, "s"},
                                                                      {Measure::stored_energy, "J"},
                                                                      {Measure::fraction, "1"}}};
constexpr std::array<std::pair<ChannelKind, std::string_view>, 2> channel_kinds{
    {{ChannelKind::counter, "counter"}, {ChannelKind::gauge, "gauge"}}};
constexpr std::array<std::pair<Origin, std::string_view>, 3> origins{
    {{Origin::measured, "measured"}, {Origin::derived, "derived"}, {Origin::modelled, "modelled"}}};
constexpr std::array<std::pair<Scope, std::string_view>, 3> scopes{
    {{Scope::host, "host"}, {Scope::target, "target"}, {Scope::prony, "prony"}}};
constexpr std::array<std::pair<SpanKind, std::string_view>, 11> span_kinds{{{SpanKind::run, "run"},
                                                                            {SpanKind::phase, "phase"},
                                                                            {SpanKind::request, "request"},
                                                                            {SpanKind::tokenise, "tokenise"},
                                                                            {SpanKind::prefill, "prefill"},
                                                                            {SpanKind::decode, "decode"},
                                                                            {SpanKind::token, "token"},
                                                                            {SpanKind::batch, "batch"},
                                                                            {SpanKind::layer, "layer"},
                                                                            {SpanKind::process, "process"},
                                                                            {SpanKind::user, "user"}}};
constexpr std::array<std::pair<SpanStatus, std::string_view>, 3> span_statuses{
    {{SpanStatus::ok, "ok"}, {SpanStatus::failed, "failed"}, {SpanStatus::unfinished, "unfinished"}}};
constexpr std::array<std::pair<EstimateKind, std::string_view>, 3> estimate_kinds{
    {{EstimateKind::bound, "bound"}, {EstimateKind::interval_95, "interval(0.95)"}, {EstimateKind::range, "range"}}};
constexpr std::array<std::pair<Party, std::string_view>, 5> parties{{{Party::target, "target"},
                                                                     {Party::foreign, "foreign"},
                                                                     {Party::prony, "prony"},
                                                                     {Party::idle, "idle"},
                                                                     {Party::unattributed, "unattributed"}}};
constexpr std::array<std::pair<RunState, std::string_view>, 3> run_states{
    {{RunState::recording, "recording"}, {RunState::complete, "complete"}, {RunState::interrupted, "interrupted"}}};

}  // namespace

std::string_view to_string(Measure measure) noexcept { return word_of(measures, measure); }
std::string_view unit_of(Measure measure) noexcept { return word_of(units, measure); }
std::optional<Measure> measure_from(std::string_view text) noexcept { return value_of(measures, text); }
std::string_view to_string(ChannelKind kind) noexcept { return word_of(channel_kinds, kind); }
std::optional<ChannelKind> channel_kind_from(std::string_view text) noexcept { return value_of(channel_kinds, text); }
std::string_view to_string(Origin origin) noexcept { return word_of(origins, origin); }
std::optional<Origin> origin_from(std::string_view text) noexcept { return value_of(origins, text); }
std::string_view to_string(Scope scope) noexcept { return word_of(scopes, scope); }
std::optional<Scope> scope_from(std::string_view text) noexcept { return value_of(scopes, text); }
std::string_view to_string(SpanKind kind) noexcept { return word_of(span_kinds, kind); }
std::optional<SpanKind> span_kind_from(std::string_view text) noexcept { return value_of(span_kinds, text); }
std::string_view to_string(SpanStatus status) noexcept { return word_of(span_statuses, status); }
std::string_view to_string(EstimateKind kind) noexcept { return word_of(estimate_kinds, kind); }
std::string_view to_string(Party party) noexcept { return word_of(parties, party); }
std::string_view to_string(RunState state) noexcept { return word_of(run_states, state); }

void Manifest::set(std::string key, std::string value, std::string origin) {
  for (Fact& fact : facts) {
    if (fact.key == key) {
      fact.value = std::move(value);
      fact.origin = std::move(origin);
      return;
    }
  }
  facts.push_back({std::move(key), std::move(value), std::move(origin)});
}

std::optional<std::string> Manifest::get(std::string_view key) const {
  for (const Fact& fact : facts)
    if (fact.key == key) return fact.value;
  return std::nullopt;
}

}  // namespace prony
