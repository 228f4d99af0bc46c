#include "exchange/parsing.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.hpp"

namespace prony::exchange {

namespace {

constexpr double exact_to = 9007199254740992.0;
constexpr double rounding = 1e-9;  // of times that are the same one, written in different units
const Found nothing = Found::object();

Instant at(double seconds) { return {static_cast<std::int64_t>(std::llround(seconds * 1e9))}; }

Span part_of(const Span& request, std::uint64_t id, SpanKind kind, Instant begin, Instant end) {
  Span span;
  span.id = {id};
  span.parent = request.id;
  span.kind = kind;
  span.name = std::string(to_string(kind));
  span.interval = {begin, std::max(begin, end)};
  return span;
}

// Days since 1970 of a date in the Gregorian calendar (Hinnant, days_from_civil).
std::int64_t days_of(std::int64_t year, std::int64_t month, std::int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
  const std::int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

}  // namespace

std::optional<double> number_at(const Found& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (!object.is_object() || found == object.end() || !found->is_number()) return std::nullopt;
  const double value = found->get<double>();
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::optional<std::int64_t> whole_at(const Found& object, const char* name) {
  const auto value = number_at(object, name);
  if (!value) return std::nullopt;
  const Found& found = object.at(name);
  if (found.is_number_integer()) {
    if (found.is_number_unsigned() && found.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
      return std::nullopt;
    return found.get<std::int64_t>();
  }
  if (*value != std::floor(*value) || std::abs(*value) > exact_to) return std::nullopt;
  return static_cast<std::int64_t>(*value);
}

std::string text_at(const Found& object, const char* name) {
  if (!object.is_object()) return {};
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const Found& object_at(const Found& object, const char* name) {
  if (!object.is_object()) return nothing;
  const auto found = object.find(name);
  return found != object.end() && found->is_object() ? *found : nothing;
}

Result<std::vector<Found>> json_lines(std::string_view bytes, std::vector<std::string>& notes) {
  std::vector<Found> all;
  std::size_t number = 0;
  std::size_t bad = 0;
  const bool ended = bytes.empty() || bytes.back() == '\n';
  const std::size_t last_begin = ended ? bytes.size() : bytes.rfind('\n') + 1;  // npos + 1 = 0
  for_each_line(bytes, [&](std::string_view line) {
    ++number;
    if (trim(line).empty() || bad != 0) return;
    Found found = Found::parse(line, nullptr, false);
    if (!found.is_discarded()) {
      all.push_back(std::move(found));
    } else if (!ended && line.data() == bytes.data() + last_begin) {
      notes.push_back("the last line (" + std::to_string(number) + ") was not written to its end: left out");
    } else {
      bad = number;
    }
  });
  if (bad != 0)
    return fail(ErrorCode::malformed, "not JSON", "line " + std::to_string(bad),
                "Each line of such a file is an object of its own.");
  return all;
}

Result<Found> json_document(std::string_view bytes) {
  Found found = Found::parse(bytes, nullptr, false);
  if (found.is_discarded())
    return fail(ErrorCode::malformed, "not JSON, or not written to its end", {}, "Such a file is one JSON document.");
  return found;
}

void add_spans(Imported& out, const std::vector<ReadRequest>& requests, double end_s) {
  Span run;
  run.id = {1};
  run.kind = SpanKind::run;
  run.name = "imported";
  run.interval = {{0}, at(end_s)};
  std::uint64_t id = 2;
  std::size_t first_after_end = 0;
  for (const ReadRequest& request : requests) {
    Span span;
    span.id = {id++};
    span.parent = run.id;
    span.kind = SpanKind::request;
    span.name = request.name;
    span.status = request.error.empty() || request.cancelled ? SpanStatus::ok : SpanStatus::failed;
    const Instant begin = at(request.begin_s);
    Instant end = begin + (at(request.e2e_s.value_or(request.ttft_s.value_or(0))) - Instant{0});
    span.interval = {begin, end};
    if (request.prompt_tokens) span.counts.emplace_back("prompt_tokens", *request.prompt_tokens);
    if (request.output_tokens) span.counts.emplace_back("output_tokens", *request.output_tokens);
    // Why an answer ended no such file tells.
    if (request.cancelled || !request.error.empty())
      span.attributes.emplace_back("finish", request.cancelled ? "cancelled" : "error");
    if (!request.error.empty()) span.attributes.emplace_back("error", request.error);
    span.attributes.emplace_back("clock", "imported");
    out.spans.push_back(span);
    if (request.decode_alone && request.e2e_s && request.error.empty())
      out.spans.push_back(part_of(span, id++, SpanKind::decode, begin, end));
    if (!request.ttft_s || !request.error.empty()) continue;
    if (request.e2e_s && *request.ttft_s > *request.e2e_s * (1 + rounding) + rounding) {
      ++first_after_end;
      continue;
    }
    const Instant first = begin + (at(*request.ttft_s) - Instant{0});
    out.spans.push_back(part_of(span, id++, SpanKind::prefill, begin, first));
    // When prefill itself began no client knows: queue and network are in it.
    out.spans.back().attributes.emplace_back("holds", "queue and network");
    if (request.e2e_s && *request.e2e_s >= *request.ttft_s)
      out.spans.push_back(part_of(span, id++, SpanKind::decode, first, end));
    if (!request.output_tokens || request.gaps_s.empty() ||
        request.gaps_s.size() + 1 != static_cast<std::size_t>(std::max<std::int64_t>(*request.output_tokens, 0)))
      continue;
    double last = *request.ttft_s;
    for (const double gap : request.gaps_s) last += gap;
    if (!(last <= longest_s)) continue;
    out.spans.push_back(part_of(span, id++, SpanKind::token, begin, first));
    double now = *request.ttft_s;
    for (const double gap : request.gaps_s) {
      const Instant before = begin + (at(now) - Instant{0});
      now += gap;
      out.spans.push_back(part_of(span, id++, SpanKind::token, before, begin + (at(now) - Instant{0})));
    }
  }
  out.spans.insert(out.spans.begin(), run);
  if (first_after_end > 0)
    out.notes.push_back(std::to_string(first_after_end) +
                        " requests have a first token after their end: which of the two is wrong cannot be told, "
                        "neither makes a time of theirs");
}

std::optional<std::int64_t> local_ns(std::string_view text) {
  if (text.size() < 19 || text[4] != '-' || text[7] != '-' || (text[10] != ' ' && text[10] != 'T') || text[13] != ':' ||
      text[16] != ':')
    return std::nullopt;
  std::array<std::int64_t, 6> part{};
  constexpr std::array<std::pair<std::size_t, std::size_t>, 6> places{
      {{0, 4}, {5, 2}, {8, 2}, {11, 2}, {14, 2}, {17, 2}}};
  for (std::size_t i = 0; i < part.size(); ++i) {
    const auto value = parse_u64(text.substr(places[i].first, places[i].second));
    if (!value) return std::nullopt;
    part[i] = static_cast<std::int64_t>(*value);
  }
  const auto [year, month, day, hour, minute, second] = part;
  if (year < 1970 || year > 2200 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 ||
      second > 60)
    return std::nullopt;
  double fraction = 0;
  if (text.size() > 19) {
    const auto rest = text[19] == '.' ? parse_finite("0" + std::string(text.substr(19))) : std::nullopt;
    if (!rest || *rest < 0 || *rest >= 1) return std::nullopt;
    fraction = *rest;
  }
  const std::int64_t seconds = ((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
  return seconds * 1'000'000'000 + static_cast<std::int64_t>(fraction * 1e9 + 0.5);
}

void add_joules(Imported& out, const char* sensor, const std::vector<ReadJoules>& all, double seconds) {
  if (all.empty()) return;
  out.group.id = {0};
  out.group.name = "imported";
  out.group.interval = {static_cast<std::int64_t>(seconds * 1e9)};
  std::vector<Reading> first, last;
  for (const ReadJoules& one : all) {
    Channel channel;
    channel.id = {static_cast<std::uint32_t>(out.channels.size())};
    channel.name = one.name;
    channel.sensor = sensor;
    channel.device = "the node";
    channel.domain = one.domain;
    channel.measure = Measure::energy;
    channel.kind = ChannelKind::counter;
    channel.origin = one.origin;
    channel.scale = 1e-6;
    channel.resolution = 1;
    out.group.channels.push_back(channel.id);
    out.channels.push_back(std::move(channel));
    first.push_back({0, Quality::ok});
    last.push_back({static_cast<std::int64_t>(one.joules * 1e6 + 0.5), Quality::ok});
  }
  out.ticks = TickBlock(out.group.id, out.channels.size(), 2);
  const Instant end{static_cast<std::int64_t>(seconds * 1e9)};
  out.ticks.push({0}, {0}, first);
  out.ticks.push(end, end, last);
}

void add_fact(Imported& out, std::string key, std::string value) {
  if (!value.empty()) out.manifest.set(std::move(key), std::move(value), "imported");
}

}  // namespace prony::exchange
