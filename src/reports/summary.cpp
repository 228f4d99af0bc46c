#include "reports/summary.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <unordered_map>

#include "base/stable_sort.hpp"
#include "base/text.hpp"
#include "calibrate/baseline.hpp"
#include "model/metrics.hpp"
#include "model/request_names.hpp"
#include "reports/merged.hpp"
#include "reports/target_rows.hpp"

namespace prony {

namespace {

// Spans that have a parent, by it; of one parent in the Run's order.
class Children {
 public:
  explicit Children(const std::vector<Span>& spans) {
    for (const Span& span : spans)
      if (span.parent.value != 0) spans_.push_back(&span);
    sort_stably(spans_, [](const Span* a, const Span* b) { return a->parent < b->parent; });
  }
  [[nodiscard]] std::vector<const Span*> of(SpanId parent) const {
    const auto found = std::ranges::equal_range(spans_, parent, {}, parent_of);
    return {found.begin(), found.end()};
  }

 private:
  static SpanId parent_of(const Span* span) { return span->parent; }
  std::vector<const Span*> spans_;
};

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

HeadlineJoules headline_of(const std::vector<SpanJoules>& parts, const std::vector<EnergyRow>& rows) {
  HeadlineJoules sum;
  bool any = false, all_gross = true, all_charged = true;
  const auto add = [](std::optional<Estimate>& total, const Estimate& part) { total = total ? *total + part : part; };
  for (const SpanJoules& part : parts) {
    if (!rows[part.row].ledger.headline) continue;
    any = true;
    if (part.energy.gross) add(sum.gross, *part.energy.gross);
    if (part.energy.charged) add(sum.charged, *part.energy.charged);
    all_gross = all_gross && part.energy.gross.has_value();
    all_charged = all_charged && part.energy.charged.has_value();
    sum.resolvable = sum.resolvable && part.energy.resolvable;
    if (part.energy.needed_s) sum.needed_s = std::max(sum.needed_s.value_or(0), *part.energy.needed_s);
  }
  if (!any || !all_gross) sum.gross.reset();
  if (!any || !all_charged) sum.charged.reset();
  return sum;
}

// Requests, after which a row keeps the joules of the headline's channels alone: single channels of so many are told by
// no report, and were most of what is kept of a request.
constexpr std::size_t most_with_all_channels = 10'000;
// Reasons for what a row lacks are kept by request up to here; of more, a count of each is told.
constexpr std::size_t most_with_reasons = 1000;

std::optional<std::size_t> row_of(const std::vector<EnergyRow>& rows, const SpanEnergy& energy) {
  const auto found = std::ranges::find(rows, energy.channel, [](const EnergyRow& row) { return row.channel.id; });
  if (found == rows.end()) return std::nullopt;
  return static_cast<std::size_t>(found - rows.begin());
}

using AbsentCounts = std::map<std::array<std::string, 3>, std::size_t>;

struct Gathering {
  Summary& summary;
  std::vector<SpanEnergy> joules;  // by span and row
  std::map<std::uint64_t, std::vector<SpanGaugeRow>> gauges;
  AbsentCounts absent = {};  // of requests that are too many to have reasons of their own

  [[nodiscard]] std::vector<SpanJoules> joules_of(SpanId id, bool all_channels = true) const {
    const auto id_of = [](const SpanEnergy& one) { return one.span.value; };
    const auto found = std::ranges::equal_range(joules, id.value, {}, id_of);
    std::vector<SpanJoules> parts;
    const auto headline = [&](const SpanEnergy& one) {
      return summary.energy[*row_of(summary.energy, one)].ledger.headline;
    };
    const bool any_headline = std::ranges::any_of(found, headline);
    const auto wanted = [&](const SpanEnergy& one) { return all_channels || !any_headline || headline(one); };
    parts.reserve(static_cast<std::size_t>(std::ranges::count_if(found, wanted)));
    for (const SpanEnergy& one : found)
      if (wanted(one)) parts.push_back({*row_of(summary.energy, one), one});
    return parts;
  }
};

std::vector<SpanEnergy> by_span(std::vector<SpanEnergy> energies, const std::vector<EnergyRow>& rows) {
  std::erase_if(energies, [&](const SpanEnergy& one) { return !row_of(rows, one); });
  std::ranges::sort(energies, {}, [&](const SpanEnergy& one) { return std::pair(one.span.value, *row_of(rows, one)); });
  return energies;
}

void keep(RequestRow& row, std::optional<double>& field, const char* name, const metrics::Maybe<double>& value) {
  if (value) {
    field = *value;
  } else {
    row.absent.push_back({name, value.error().reason, ""});
  }
}

void gather_gaps(RequestRow& row, const std::vector<double>& gaps) {
  row.itl.count = gaps.size();
  if (gaps.empty()) {
    row.absent.push_back({"itl", "no token spans were recorded for two or more tokens", ""});
    return;
  }
  row.itl.max_s = *std::max_element(gaps.begin(), gaps.end());
  keep(row, row.itl.mean_s, "itl.mean_s", metrics::mean(gaps));
  keep(row, row.itl.sd_s, "itl.sd_s", metrics::sd(gaps));
  keep(row, row.itl.p50_s, "itl.p50_s", metrics::percentile(gaps, 0.50));
  keep(row, row.itl.p90_s, "itl.p90_s", metrics::percentile(gaps, 0.90));
  keep(row, row.itl.p95_s, "itl.p95_s", metrics::percentile(gaps, 0.95));
  keep(row, row.itl.p99_s, "itl.p99_s", metrics::percentile(gaps, 0.99));
}

double seconds_between(Instant from, Instant to) { return (to - from).seconds().value(); }

// The prompt and the answer are the row's own.
Span without_texts(const Span& span) {
  const auto kept = [](const auto& one) { return one.first != "prompt" && one.first != "answer"; };
  Span copy{span.id, span.parent, span.kind, span.status, span.name, span.interval, span.pid, span.thread, {}, {}};
  copy.counts = span.counts;
  copy.attributes.reserve(static_cast<std::size_t>(std::ranges::count_if(span.attributes, kept)));
  std::ranges::copy_if(span.attributes, std::back_inserter(copy.attributes), kept);
  return copy;
}

RequestRow request_row(const Gathering& all, const Span& span, const std::vector<const Span*>& children) {
  RequestRow row;
  row.span = without_texts(span);
  row.prompt = span.attribute("prompt").value_or("");
  row.answer = span.attribute("answer").value_or("");
  row.finish = span.attribute("finish").value_or("");
  row.begin_s = seconds_between(all.summary.window.begin, span.interval.begin);
  const metrics::RequestTimes times = metrics::request_times(span, children);
  row.prompt_tokens = times.prompt_tokens;
  row.output_tokens = times.output_tokens;
  if (!row.prompt_tokens) row.absent.push_back({"prompt_tokens", "the worker did not give it", ""});
  if (!row.output_tokens) row.absent.push_back({"output_tokens", "the worker did not give it", ""});
  keep(row, row.ttft_s, "ttft_s", metrics::ttft_s(times));
  keep(row, row.e2e_s, "e2e_s", metrics::e2e_s(times));
  keep(row, row.tpot_s, "tpot_s", metrics::tpot_s(times));
  keep(row, row.prefill_tokens_per_s, "prefill_tokens_per_s", metrics::prefill_tokens_per_s(times));
  keep(row, row.decode_tokens_per_s, "decode_tokens_per_s", metrics::decode_tokens_per_s(times));
  std::vector<double> gaps_s = metrics::itl_s(times);
  gather_gaps(row, gaps_s);
  if (!all.summary.fact("load.mode").empty()) row.gaps_s = std::move(gaps_s);
  const bool all_channels = all.summary.requests.size() < most_with_all_channels;
  row.energy = all.joules_of(span.id, all_channels);
  for (const Span* child : children) {
    const double length_s = child->interval.length().seconds().value();
    if (child->kind == SpanKind::tokenise) row.tokenise_s = length_s;
    if (child->kind == SpanKind::prefill && !child->attribute("holds")) {
      row.prefill_s = length_s;
      row.prefill_energy = all.joules_of(child->id, all_channels);
    }
    if (child->kind == SpanKind::decode) row.decode_energy = all.joules_of(child->id, all_channels);
  }
  // What this machine drew meanwhile is no cost of a model that another one runs.
  std::string host = all.summary.fact("engine.elsewhere");
  if (host.empty()) host = span.attribute("elsewhere").value_or("");
  if (!host.empty()) {
    row.energy.clear();
    row.prefill_energy.clear();
    row.decode_energy.clear();
    row.absent.push_back(
        {"energy", "the engine is on another host (" + host + "): its joules are not this machine's", ""});
  }
  row.headline = headline_of(row.energy, all.summary.energy);
  row.prefill = headline_of(row.prefill_energy, all.summary.energy);
  row.decode = headline_of(row.decode_energy, all.summary.energy);
  if (const auto found = all.gauges.find(span.id.value); found != all.gauges.end()) row.gauges = found->second;
  return row;
}

// A request whose answer the driver could not understand, or that it gave up with its worker, failed, whatever the
// worker wrote of its end: as called off, most often, since that is what the end of its input means to it.
void fail_what_the_driver_lost(Summary& summary) {
  std::map<std::string, std::size_t> lost;
  const std::string list = summary.fact("requests.failed");
  for (std::size_t begin = 0; begin < list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    ++lost[list.substr(begin, end - begin)];
    begin = end + 1;
  }
  if (lost.empty()) return;
  const auto find = [&](const RequestRow& row) { return lost.find(as_listed(row.span.name)); };
  for (const RequestRow& row : summary.requests)
    if (const auto found = find(row); found != lost.end() && found->second > 0 && row.span.status != SpanStatus::ok)
      --found->second;
  for (auto row = summary.requests.rbegin(); row != summary.requests.rend(); ++row) {
    const auto found = find(*row);
    if (found == lost.end() || found->second == 0 || row->span.status != SpanStatus::ok) continue;
    --found->second;
    row->span.status = SpanStatus::failed;
    row->absent.push_back(
        {"finish", "the driver did not get this answer: the worker's word \"" + row->finish + "\" is not what happened",
         ""});
    row->finish = "error";
  }
}

void gather_spans(const Run& run, Gathering& all) {
  const auto is_request = [](const Span& span) { return span.kind == SpanKind::request; };
  const auto requests = static_cast<std::size_t>(std::ranges::count_if(run.spans(), is_request));
  all.summary.requests.reserve(requests);
  const Children children(run.spans());
  for (const Span& span : run.spans()) {
    if (span.kind == SpanKind::request) {
      all.summary.requests.push_back(request_row(all, span, children.of(span.id)));
      auto& absent = all.summary.requests.back().absent;
      if (requests <= most_with_reasons) continue;
      for (const Unavailable& one : absent) ++all.absent[{one.subject, one.reason, one.remedy}];
      std::vector<Unavailable>().swap(absent);
    } else if (span.kind == SpanKind::phase && span.name != phase::step) {
      PhaseRow row{span,
                   seconds_between(all.summary.window.begin, span.interval.begin),
                   span.interval.length().seconds().value(),
                   all.joules_of(span.id),
                   {}};
      row.headline = headline_of(row.energy, all.summary.energy);
      all.summary.phases.push_back(std::move(row));
    }
  }
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

// Of many requests one line for each thing that many of them lack.
void gather_absent_of_requests(Summary& summary, AbsentCounts counts) {
  auto& out = summary.unavailable;
  if (summary.requests.size() <= most_with_reasons) {
    for (const RequestRow& row : summary.requests)
      for (const Unavailable& absent : row.absent)
        out.push_back({"requests[" + row.span.name + "]." + absent.subject, absent.reason, absent.remedy});
    return;
  }
  for (const RequestRow& row : summary.requests)
    for (const Unavailable& absent : row.absent) ++counts[{absent.subject, absent.reason, absent.remedy}];
  for (const auto& [what, count] : counts)
    out.push_back({"requests[" + std::to_string(count) + " of them]." + what[0], what[1], what[2]});
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

  Gathering all{summary, by_span(std::move(ledger.spans), summary.energy), {}};
  for (const SpanGauge& gauge : ledger.span_gauges)
    if (const Channel* channel = find_channel(run, gauge.channel))
      all.gauges[gauge.span.value].push_back({*channel, gauge});
  for (const GaugeLedger& gauge : ledger.gauges)
    if (const Channel* channel = find_channel(run, gauge.channel)) summary.gauges.push_back({*channel, gauge});
  summary.idle_to = policy_of(run, options);
  summary.cpu = std::move(ledger.cpu);
  gather_targets(run, summary);
  gather_spans(run, all);
  fail_what_the_driver_lost(summary);
  gather_repeated(summary);
  gather_absent(summary, std::move(all.absent));
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
