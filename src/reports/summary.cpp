#include "reports/summary.hpp"

#include <algorithm>
#include <unordered_map>

#include "base/text.hpp"
#include "calibrate/baseline.hpp"
#include "model/metrics.hpp"
#include "reports/merged.hpp"
#include "reports/request_rows.hpp"
#include "reports/target_rows.hpp"

namespace prony {

namespace {

const Channel* find_channel(const Run& run, ChannelId id) {
  for (const Channel& channel : run.channels())
    if (channel.id == id) return &channel;
  return nullptr;
}

std::vector<EnergyRow> energy_rows(const Run& run, std::vector<ChannelLedger>& ledgers) {
  std::vector<EnergyRow> rows;
  for (ChannelLedger& ledger : ledgers) {
    const Channel* channel = find_channel(run, ledger.channel);
    if (channel == nullptr) continue;
    EnergyRow row{*channel, std::nullopt, std::move(ledger), std::nullopt};
    if (channel->part_of)
      if (const Channel* whole = find_channel(run, *channel->part_of)) row.part_of = whole->name;
    rows.push_back(std::move(row));
  }
  return rows;
}

void gather_totals(const Run& run, Summary& summary) {
  constexpr std::string_view lane_prefix = "sampler.";
  for (const Total& total : run.totals()) {
    if (total.subject == "target") {
      if (total.name == "exit_code") summary.exit_code = static_cast<std::int64_t>(total.value);
      if (total.name == "exit_signal") summary.exit_signal = static_cast<std::int64_t>(total.value);
      if (total.name == "wall_s") summary.wall_s = total.value;
      summary.process.push_back(total);
    } else if (total.subject == "prony") {
      summary.prony.push_back(total);
    } else if (total.subject.starts_with(lane_prefix)) {
      const std::string name = total.subject.substr(lane_prefix.size());
      auto lane = std::find_if(summary.lanes.begin(), summary.lanes.end(), [&](auto& l) { return l.name == name; });
      if (lane == summary.lanes.end()) lane = summary.lanes.insert(lane, LaneRow{name, {}, {}, {}, {}, {}});
      if (total.name == "ticks") lane->ticks = total.value;
      if (total.name == "missed") lane->missed = total.value;
      if (total.name == "late") lane->late = total.value;
      if (total.name == "dropped") lane->dropped = total.value;
      if (total.name == "cpu_s") lane->cpu_s = total.value;
    }
  }
}

// True joules, which only a simulated machine has. The headline's are told only where every domain of it has them.
void gather_truth(const Run& run, Summary& summary) {
  summary.simulated = summary.fact("machine.simulated");
  constexpr std::string_view prefix = "true_j.";
  for (const Total& total : run.totals()) {
    if (total.subject != "simulated" || !total.name.starts_with(prefix)) continue;
    for (EnergyRow& row : summary.energy)
      if (row.channel.name == std::string_view(total.name).substr(prefix.size())) row.true_j = total.value;
  }
  bool any = false, all = true;
  double sum = 0;
  for (const EnergyRow& row : summary.energy) {
    if (!row.ledger.headline) continue;
    any = true;
    all = all && row.true_j.has_value();
    sum += row.true_j.value_or(0);
  }
  if (any && all) summary.headline_true_j = sum;
  const bool ended = summary.state == RunState::complete;
  for (const EnergyRow& row : summary.energy)
    if (!summary.simulated.empty() && !row.true_j)
      summary.unavailable.push_back(
          {"energy[" + row.channel.name + "].true_j",
           ended ? "the simulated machine knows no truth of this domain" : "recording stopped before the end", ""});
}

// Requests that ran the same prompt, in order of first appearance.
void gather_repeated(Summary& summary) {
  std::vector<std::pair<std::string, std::vector<double>>> rates;
  std::unordered_map<std::string_view, std::size_t> places;  // of each prompt in them: there may be 100 000
  for (const RequestRow& row : summary.requests) {
    if (row.prompt.empty() || row.span.status != SpanStatus::ok || !row.decode_tokens_per_s) continue;
    const auto [found, fresh] = places.try_emplace(row.prompt, rates.size());
    if (fresh) rates.push_back({row.prompt, {}});
    rates[found->second].second.push_back(*row.decode_tokens_per_s);
  }
  for (const auto& [prompt, values] : rates)
    if (const auto interval = metrics::mean_interval_95(values))
      summary.repeated.push_back({prompt, values.size(), interval->mean, interval->low, interval->high});
}

// The ledger's fields of joules, as the JSON calls them.
std::string json_name(const std::string& field) {
  for (const char* joules : {"gross", "idle", "active", "marginal", "target", "foreign", "prony", "target_active",
                             "recorded", "unattributed"})
    if (field == joules) return field + "_j";
  return field;
}

// What the ledger and the totals lack, by the JSON's own names.
void gather_absent(Summary& summary, AbsentCounts of_requests) {
  auto& out = summary.unavailable;
  for (const EnergyRow& row : summary.energy) {
    bool gross_told = false;
    for (const auto& [field, reason] : row.ledger.absent) {
      gross_told = gross_told || field == "gross" || field == "gross_j";
      out.push_back({"energy[" + row.channel.name + "]." + json_name(field), reason, ""});
    }
    if (!row.ledger.resolvable && !gross_told)
      out.push_back({"energy[" + row.channel.name + "].gross_j", "the window is too short for this sensor",
                     "measure for at least needed_s"});
  }
  if (!summary.headline_j && summary.energy.empty())
    out.push_back({"energy", "no channel that gives joules was recorded", "prony sensors says why"});
  const bool ended = summary.state == RunState::complete;
  if (!summary.wall_s) out.push_back({"wall_s", ended ? "not recorded" : "recording stopped before the end", ""});
  if (!summary.exit_code && !summary.exit_signal && summary.kind != "watch" && summary.kind != "proxy")
    out.push_back({"exit_code", ended ? "not recorded" : "recording stopped before the end", ""});
  for (const TargetRow& row : summary.targets)
    for (const TargetRow::Part& part : row.energy)
      for (const auto& [field, reason] : part.energy.absent)
        out.push_back(
            {"targets[" + row.target.name + "].energy[" + summary.energy[part.row].channel.name + "]." + field + "_j",
             reason, ""});
  gather_absent_of_requests(summary, std::move(of_requests));
}

}  // namespace

std::optional<double> Summary::process_total(std::string_view name) const {
  for (const Total& total : process)
    if (total.name == name) return total.value;
  return std::nullopt;
}

std::optional<double> Summary::prony_total(std::string_view name) const {
  for (const Total& total : prony)
    if (total.name == name) return total.value;
  return std::nullopt;
}

std::string Summary::fact(std::string_view key) const { return manifest.get(key).value_or(""); }

namespace {

IdleTo policy_of(const Run& run, const SummaryOptions& options) {
  const auto recorded = run.manifest().get("setting.idle-to");
  return options.idle_to.value_or(idle_to_from(recorded.value_or("")).value_or(IdleTo::none));
}

// Folds the Run's blocks and looks with those spans. A damaged part is passed over as a gap: all else is read, and
// `damage` tells that something is missing.
Result<Ledger> ledger_of(const Run& run, const AttributionOptions& rules, const std::vector<Span>& spans,
                         std::vector<Event>& damage) {
  Attribution attribution(run.channels(), run.groups(), spans, rules);
  for (const Group& group : run.groups()) {
    const auto read = run.for_each_block(group.id, [&](const TickBlock& block) {
      attribution.push(block);
      return true;
    });
    if (read) continue;
    if (read.error().code != ErrorCode::malformed) return Unexpected<Error>(read.error());
    damage.push_back({{}, "samples-damaged", group.name, read.error().what});
  }
  attribution.know(run.processes());
  const auto looked = run.for_each_look([&](const ProcessLook& look) {
    attribution.push(look);
    return true;
  });
  if (!looked && looked.error().code != ErrorCode::malformed) return Unexpected<Error>(looked.error());
  if (!looked) damage.push_back({{}, "samples-damaged", "processes", looked.error().what});
  return attribution.end();
}

RequestShare request_share_of(const Run& run, const SummaryOptions& options) {
  const auto recorded = run.manifest().get("setting.request-share");
  return options.request_share.value_or(request_share_from(recorded.value_or("")).value_or(RequestShare::work));
}

// What the model's file said of its cache when it was recorded.
std::optional<KvReads> kv_reads_of(const Manifest& manifest) {
  const auto number = [&](const char* key) { return parse_finite(manifest.get(key).value_or("")); };
  const auto bytes = number("model.kv_bytes_per_token"), windowed = number("model.kv_windowed_bytes_per_token");
  if (!bytes || !windowed || *bytes < 0 || *windowed < 0 || *bytes + *windowed <= 0) return std::nullopt;
  return KvReads{*bytes, *windowed, std::max(number("model.kv_window_tokens").value_or(0), 0.0)};
}

}  // namespace

Result<Summary> summarise(const Run& run, const SummaryOptions& options) {
  AttributionOptions rules;
  rules.idle_to = policy_of(run, options);
  rules.request_share = request_share_of(run, options);
  rules.kv_reads = kv_reads_of(run.manifest());
  for (const Target& target : run.targets()) rules.targets.push_back(target.name);
  rules.requests_target = run.manifest().get("requests.target").value_or("");
  rules.own_pid = parse_i64(run.manifest().get("prony.pid").value_or(""));
  rules.known_idle = calibrate::known_idle(run.manifest());
  rules.known_idle_foreign_cpus = parse_finite(run.manifest().get("baseline.foreign_cpus").value_or(""));
  std::vector<Event> damage;
  auto ledger = ledger_of(run, rules, run.spans(), damage);
  if (!ledger) return Unexpected<Error>(ledger.error());
  const auto again = [&](const std::vector<Span>& spans) {
    std::vector<Event> told_already;
    return ledger_of(run, rules, spans, told_already);
  };
  if (auto widened = widen_by_offset(*ledger, run.spans(), offset_doubt(run.manifest()), again); !widened)
    return Unexpected<Error>(widened.error());
  Summary summary = summarise(run, std::move(*ledger), options);
  summary.events.insert(summary.events.end(), damage.begin(), damage.end());
  for (Event& event : summary.events)
    if (event.kind == "samples-damaged") event.at = summary.window.end;
  return summary;
}

Summary summarise(const Run& run, Ledger ledger, const SummaryOptions& options) {
  Summary summary;
  summary.path = run.path().lexically_normal().string();
  summary.state = run.state();
  summary.manifest = run.manifest();
  summary.kind = summary.fact("run.kind").empty() ? "run" : summary.fact("run.kind");
  summary.events = run.events();
  summary.spans_lost = run.spans_lost();
  summary.passports = run.passports();
  summary.unavailable = run.manifest().unavailable;
  summary.factors = factors_of(summary.manifest, summary.unavailable);
  summary.idle_foreign_cpus = ledger.idle_foreign_cpus;
  if (!summary.idle_foreign_cpus) summary.idle_foreign_cpus = parse_finite(summary.fact("baseline.foreign_cpus"));
  summary.window = ledger.window;
  summary.recorded = ledger.recorded;
  summary.headline_j = ledger.headline_j;
  summary.headline_modelled = ledger.headline_modelled;
  summary.cpu_split = ledger.cpu_split;
  summary.charges = std::move(ledger.charges);
  summary.energy = energy_rows(run, ledger.energy);
  gather_truth(run, summary);
  gather_totals(run, summary);

  SpanGauges span_gauges;
  for (const SpanGauge& gauge : ledger.span_gauges)
    if (const Channel* channel = find_channel(run, gauge.channel))
      span_gauges[gauge.span.value].push_back({*channel, gauge});
  for (const GaugeLedger& gauge : ledger.gauges)
    if (const Channel* channel = find_channel(run, gauge.channel)) summary.gauges.push_back({*channel, gauge});
  summary.idle_to = policy_of(run, options);
  summary.cpu = std::move(ledger.cpu);
  gather_targets(run, summary);
  AbsentCounts absent = gather_requests(run, std::move(ledger.spans), std::move(span_gauges), summary);
  gather_repeated(summary);
  gather_absent(summary, std::move(absent));
  return summary;
}

Origin Summary::headline_origin() const {
  if (headline_modelled) return Origin::modelled;
  const bool held = std::ranges::any_of(energy, [](const EnergyRow& row) {
    return row.ledger.headline && row.channel.model && row.channel.origin == Origin::derived;
  });
  return held ? Origin::derived : Origin::measured;
}

figures::Mark Summary::headline_mark() const {
  const Origin origin = headline_origin();
  return origin == Origin::modelled  ? figures::Mark::modelled
         : origin == Origin::derived ? figures::Mark::derived
                                     : figures::Mark::unmarked;
}

}  // namespace prony
