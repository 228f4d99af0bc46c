#include "reports/tables.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "base/text.hpp"
#include "reports/cells.hpp"
#include "reports/passport_rows.hpp"
#include "reports/prompt_checks.hpp"
#include "reports/rows_table.hpp"
#include "reports/samples_table.hpp"
#include "reports/summary.hpp"
#include "reports/target_tables.hpp"
#include "reports/was_read.hpp"

namespace prony {

namespace {

constexpr std::array<TableName, 8> names{{
    {"samples", "one row a tick: time stamps and every channel in its unit"},
    {"spans", "one row a span: run, phases, prompts, prefill, decode, tokens"},
    {"charges", "one row a charge: a channel's joules by party and span; they add up to what was recorded"},
    {"channels", "one row a channel: what it is, and its energy over the Run"},
    {"requests", "one row a prompt: tokens, times, rates, joules, prompt and answer"},
    {"targets", "one row a target, and what is left: others, Prony, idle, unattributed, which add up to gross"},
    {"processes", "one row a process that was followed by itself: CPU time and joules"},
    {"passports", "one row a channel that was watched: update period, phase, step, noise, cost of a read"},
}};

Cell value_of(const std::optional<Estimate>& e) { return e ? Cell{e->value} : Cell{}; }
Cell low_of(const std::optional<Estimate>& e) { return e ? Cell{e->low} : Cell{}; }
Cell high_of(const std::optional<Estimate>& e) { return e ? Cell{e->high} : Cell{}; }
Cell kind_of(const std::optional<Estimate>& e) { return e ? Cell{std::string(to_string(e->kind))} : Cell{}; }

// Counts and attributes become columns of their own, in order of first appearance; an attribute that shares a column's
// name gets "attribute." before its own.
std::unique_ptr<Table> spans_table(const Run& run) {
  auto table = std::make_unique<RowsTable>();
  table->header = {
      {"id", ""},     {"parent", "empty: none"}, {"kind", ""}, {"status", ""}, {"name", ""}, {"begin_ns", ""},
      {"end_ns", ""}, {"duration_s", ""},        {"pid", ""},  {"thread", ""}};
  std::map<std::string, std::size_t, std::less<>> counts, attributes;
  const auto taken = [&](const std::string& name) {
    return std::any_of(table->header.begin(), table->header.end(), [&](const Column& c) { return c.name == name; });
  };
  const auto add = [&](auto& columns, const std::string& key, const std::string& prefix) {
    if (columns.contains(key)) return;
    columns.emplace(key, table->header.size());
    table->header.push_back({taken(key) ? prefix + key : key, ""});
  };
  for (const Span& span : run.spans()) {
    for (const auto& entry : span.counts) add(counts, entry.first, "count.");
  }
  for (const Span& span : run.spans()) {
    for (const auto& entry : span.attributes) add(attributes, entry.first, "attribute.");
  }
  for (const Span& span : run.spans()) {
    std::vector<Cell> row{count_cell(span.id.value),
                          span.parent.value == 0 ? Cell{} : count_cell(span.parent.value),
                          text_cell(to_string(span.kind)),
                          text_cell(to_string(span.status)),
                          text_cell(span.name),
                          span.interval.begin.ns,
                          span.interval.end.ns,
                          span.interval.length().seconds().value(),
                          span.pid,
                          count_cell(span.thread)};
    row.resize(table->header.size());
    for (const auto& [key, value] : span.counts) row[counts.at(key)] = value;
    for (const auto& [key, value] : span.attributes) row[attributes.at(key)] = value;
    table->rows.push_back(std::move(row));
  }
  return table;
}

const EnergyRow* energy_row(const Summary& summary, ChannelId id) {
  for (const EnergyRow& row : summary.energy)
    if (row.channel.id == id) return &row;
  return nullptr;
}

std::unique_ptr<Table> charges_table(const Run& run, const Summary& summary) {
  auto table = std::make_unique<RowsTable>();
  table->header = {{"channel", ""},
                   {"domain", ""},
                   {"origin", ""},
                   {"party", "target, foreign, prony, idle or unattributed"},
                   {"target", "party target: whose; the measured command's tree is \"command\""},
                   {"span", "empty: charged to no span"},
                   {"span_kind", ""},
                   {"span_name", ""},
                   {"charged_j", ""},
                   {"low_j", ""},
                   {"high_j", ""},
                   {"kind", "what low and high promise"},
                   {"method", ""}};
  std::map<std::uint64_t, const Span*> spans;
  for (const Span& span : run.spans()) spans.emplace(span.id.value, &span);
  for (const Charge& charge : summary.charges) {
    const EnergyRow* row = energy_row(summary, charge.channel);
    const auto found = charge.span.value == 0 ? spans.end() : spans.find(charge.span.value);
    const Span* span = found == spans.end() ? nullptr : found->second;
    table->rows.push_back({text_cell(row ? row->channel.name : ""), text_cell(row ? row->channel.domain : ""),
                           text_cell(row ? to_string(row->channel.origin) : ""), text_cell(to_string(charge.party)),
                           text_cell(charge.target.view()),
                           charge.span.value == 0 ? Cell{} : count_cell(charge.span.value),
                           text_cell(span ? to_string(span->kind) : ""), text_cell(span ? span->name : ""),
                           charge.joules.value, charge.joules.low, charge.joules.high,
                           text_cell(to_string(charge.joules.kind)), text_cell(charge.method.view())});
  }
  return table;
}

std::unique_ptr<Table> channels_table(const Run& run, const Summary& summary) {
  auto table = std::make_unique<RowsTable>();
  table->header = {{"channel", ""},
                   {"sensor", ""},
                   {"device", ""},
                   {"domain", ""},
                   {"measure", ""},
                   {"unit", ""},
                   {"kind", ""},
                   {"origin", ""},
                   {"scope", ""},
                   {"scale", "unit per count of the reading"},
                   {"range", "counts at which the counter wraps; empty: never"},
                   {"max_rate", "unit per second"},
                   {"update_period_s", "empty: at every read, or not known"},
                   {"resolution", "counts"},
                   {"part_of", ""},
                   {"coverage_known", "0: may overlap other domains, never added to them"},
                   {"headline", ""},
                   {"recorded_j", "last − first reading of the whole Run"},
                   {"gross_j", "in the measured window"},
                   {"low_j", "of gross_j"},
                   {"high_j", "of gross_j"},
                   {"estimate_kind", ""},
                   {"wraps", ""},
                   {"resets", ""},
                   {"gaps", ""},
                   {"model", ""}};
  const std::optional<Estimate> none;
  const bool simulated = !summary.simulated.empty();
  if (simulated) table->header.push_back({"true_j", "in the measured window of the simulated machine: not measured"});
  for (const Channel& channel : run.channels()) {
    const EnergyRow* row = energy_row(summary, channel.id);
    Cell part_of;
    if (channel.part_of)
      for (const Channel& whole : run.channels())
        if (whole.id == *channel.part_of) part_of = whole.name;
    const auto& gross = row ? row->ledger.gross : none;
    table->rows.push_back({text_cell(channel.name),
                           text_cell(channel.sensor),
                           text_cell(channel.device),
                           text_cell(channel.domain),
                           text_cell(to_string(channel.measure)),
                           text_cell(unit_of(channel.measure)),
                           text_cell(to_string(channel.kind)),
                           text_cell(to_string(channel.origin)),
                           text_cell(to_string(channel.scope)),
                           channel.scale,
                           channel.range == 0 ? Cell{} : count_cell(channel.range),
                           channel.max_rate == 0 ? Cell{} : Cell{channel.max_rate},
                           channel.update_period.ns == 0 ? Cell{} : Cell{channel.update_period.seconds().value()},
                           channel.resolution,
                           part_of,
                           std::int64_t{channel.coverage_known ? 1 : 0},
                           row ? Cell{std::int64_t{row->ledger.headline ? 1 : 0}} : Cell{},
                           row && was_read(row->ledger) ? Cell{row->ledger.recorded.value} : Cell{},
                           value_of(gross),
                           low_of(gross),
                           high_of(gross),
                           kind_of(gross),
                           row ? count_cell(row->ledger.wraps) : Cell{},
                           row ? count_cell(row->ledger.resets) : Cell{},
                           row ? count_cell(row->ledger.gaps) : Cell{},
                           text_cell(channel.model ? channel.model->name : "")});
    if (simulated) table->rows.back().push_back(maybe(row ? row->true_j : std::nullopt));
  }
  return table;
}

Cell gauge_of(const RequestRow& row, Measure measure, double SpanGauge::* field) {
  std::optional<double> most;
  for (const SpanGaugeRow& gauge : row.gauges)
    if (gauge.channel.measure == measure && gauge.gauge.readings > 0 && gauge.channel.scope != Scope::prony &&
        (measure != Measure::memory || (gauge.channel.scope == Scope::target && gauge.channel.domain == "target")))
      most = std::max(most.value_or(gauge.gauge.*field), gauge.gauge.*field);
  return maybe(most);
}

std::unique_ptr<Table> requests_table(const Summary& summary) {
  auto table = std::make_unique<RowsTable>();
  table->header = {{"id", ""},
                   {"status", ""},
                   {"finish", ""},
                   {"begin_s", "since the begin of the measured window"},
                   {"prompt_tokens", ""},
                   {"output_tokens", ""},
                   {"tokenise_s", ""},
                   {"ttft_s", "first token − begin"},
                   {"e2e_s", "last token − begin"},
                   {"prefill_tokens_per_s", ""},
                   {"decode_tokens_per_s", "(output tokens − 1) ÷ (last − first token)"},
                   {"tpot_s", ""},
                   {"itl_mean_s", ""},
                   {"itl_p50_s", ""},
                   {"itl_p90_s", ""},
                   {"itl_p95_s", ""},
                   {"itl_p99_s", ""},
                   {"itl_max_s", ""},
                   {"origin", "of the joules: measured, modelled or derived"},
                   {"gross_j", "all that the headline domains drew in the prompt's window"},
                   {"low_j", "of gross_j"},
                   {"high_j", "of gross_j"},
                   {"kind", "what low and high promise"},
                   {"resolvable", ""},
                   {"needed_s", "window that the sensor would need"},
                   {"gross_j_per_output_token", "empty where requests ran at once"},
                   {"charged_j", "this program's share"},
                   {"charged_low_j", ""},
                   {"charged_high_j", ""},
                   {"charged_j_per_output_token", ""},
                   {"prefill_charged_j", ""},
                   {"decode_charged_j", ""},
                   {"temperature_max_celsius", ""},
                   {"frequency_mean_hz", "of the fastest clock"},
                   {"rss_max_bytes", ""},
                   {"prompt", ""},
                   {"answer", "if kept"}};
  const bool at_once = ran_at_once(summary);
  for (const RequestRow& r : summary.requests) {
    const bool joules = r.headline.gross || r.headline.charged;
    Cell gross_per_token, per_token;
    if (r.headline.gross && r.headline.resolvable && !at_once && r.output_tokens && *r.output_tokens > 0)
      gross_per_token = r.headline.gross->value / static_cast<double>(*r.output_tokens);
    if (r.headline.charged && r.output_tokens && *r.output_tokens > 0)
      per_token = r.headline.charged->value / static_cast<double>(*r.output_tokens);
    table->rows.push_back(
        {text_cell(r.span.name),
         text_cell(to_string(r.span.status)),
         text_cell(r.finish),
         r.begin_s,
         maybe(r.prompt_tokens),
         maybe(r.output_tokens),
         maybe(r.tokenise_s),
         maybe(r.ttft_s),
         maybe(r.e2e_s),
         maybe(r.prefill_tokens_per_s),
         maybe(r.decode_tokens_per_s),
         maybe(r.tpot_s),
         maybe(r.itl.mean_s),
         maybe(r.itl.p50_s),
         maybe(r.itl.p90_s),
         maybe(r.itl.p95_s),
         maybe(r.itl.p99_s),
         maybe(r.itl.max_s),
         text_cell(!joules ? "" : to_string(summary.headline_origin())),
         value_of(r.headline.gross),
         low_of(r.headline.gross),
         high_of(r.headline.gross),
         kind_of(r.headline.gross),
         summary.headline_j || !r.energy.empty() ? Cell{std::int64_t{r.headline.resolvable ? 1 : 0}} : Cell{},
         maybe(r.headline.needed_s),
         gross_per_token,
         value_of(r.headline.charged),
         low_of(r.headline.charged),
         high_of(r.headline.charged),
         per_token,
         value_of(r.prefill.charged),
         value_of(r.decode.charged),
         gauge_of(r, Measure::temperature, &SpanGauge::max),
         gauge_of(r, Measure::frequency, &SpanGauge::mean),
         gauge_of(r, Measure::memory, &SpanGauge::max),
         text_cell(r.prompt),
         text_cell(r.answer)});
  }
  return table;
}

}  // namespace

std::span<const TableName> table_names() noexcept { return names; }

Result<std::unique_ptr<Table>> make_table(const Run& run, std::string_view name) {
  if (name == "samples") return make_samples_table(run);
  if (name == "spans") return spans_table(run);
  if (name == "passports") return passports_table(run.passports());
  if (name == "charges" || name == "channels" || name == "requests" || name == "targets" || name == "processes") {
    const auto summary = summarise(run);
    if (!summary) return Unexpected<Error>(summary.error());
    if (name == "charges") return charges_table(run, *summary);
    if (name == "targets") return targets_table(*summary);
    if (name == "processes") return processes_table(*summary);
    return name == "channels" ? channels_table(run, *summary) : requests_table(*summary);
  }
  std::vector<std::string> known;
  std::string all;
  for (const TableName& row : names) {
    known.emplace_back(row.name);
    all += (all.empty() ? "" : ", ") + known.back();
  }
  const auto nearest = nearest_name(name, known);
  return fail(ErrorCode::usage, "there is no table called '" + printable(name, 40) + "'", "--table",
              (nearest ? "did you mean '" + *nearest + "'? " : std::string()) + "Tables: " + all);
}

}  // namespace prony
