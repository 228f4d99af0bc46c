#include "app/layers_loops.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "base/text.hpp"
#include "reports/network_report.hpp"
#include "workloads/network_loops.hpp"

namespace prony::app {

namespace {

namespace fs = std::filesystem;
using LoopJson = nlohmann::ordered_json;

constexpr double wished_run_s = 5e-3;  // of a layer's copies: launching one is then less than a percent of it
constexpr double most_copies = 2000;
constexpr double least_layer_s = 0.5e-6;  // where the profiler, which cuts microseconds off, saw nothing
constexpr double least_loop_s = 0.5;      // where nobody asked for less: what else runs averages out

double json_number(const LoopJson& from, const char* key) {
  const auto found = from.find(key);
  return found != from.end() && found->is_number() ? found->get<double>() : 0;
}
std::string json_words(const LoopJson& from, const char* key) {
  const auto found = from.find(key);
  return found != from.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<Summary> summary_of(const std::string& path) {
  auto run = Run::open(path);
  if (!run) return Unexpected<Error>(run.error());
  return summarise(**run);
}

// A counter is as a sensor whose reading is the mean since the reading before.
void take_sensor(LoopPlan& plan, const Summary& summary) {
  for (const EnergyRow& row : summary.energy) {
    if (!row.ledger.headline) continue;
    const Channel& channel = row.channel;
    constexpr double tick_s = 0.01;  // of the kernel's busy time, which modelled power is made of
    double period = channel.learned_period ? channel.learned_period->mean_ns * 1e-9
                                           : static_cast<double>(channel.update_period.ns) * 1e-9;
    if (channel.model) period = std::max(period, tick_s);
    const bool counter = channel.kind == ChannelKind::counter;
    const double window = counter || channel.model ? period : static_cast<double>(channel.averaging_window.ns) * 1e-9;
    double step = channel.model ? 0 : channel.resolution * channel.scale;
    if (counter) step = period > 0 ? step / period : 0;
    plan.sensor.period_s = std::max(plan.sensor.period_s, period);
    plan.sensor.window_s = std::max(plan.sensor.window_s, window);
    plan.sensor.step_w += step;
    plan.channels.push_back(channel.name);
  }
  plan.origin = std::string(to_string(summary.headline_origin()));
}

std::vector<LoopTarget> loopable_rows(const LoopPlan& plan) {
  std::multimap<std::pair<std::string, std::string>, std::size_t> nodes;
  for (std::size_t i = 0; i < plan.engine.graph.nodes.size(); ++i)
    nodes.emplace(std::pair(plan.engine.graph.nodes[i].name, plan.engine.graph.nodes[i].op), i);
  std::vector<LoopTarget> rows;
  for (const LoopJson& row : plan.report["times"]["rows"]) {
    LoopTarget target{
        json_words(row, "name"), json_words(row, "op"), json_words(row, "kind"), json_number(row, "mean_s"), {}, {}};
    auto found = nodes.lower_bound({target.name, target.op});
    if (found == nodes.end() || found->first != std::pair(target.name, target.op))
      found = nodes.lower_bound({"", target.op});  // a node without a name has its operator's in the table
    if (found != nodes.end() && found->first.second == target.op &&
        (found->first.first == target.name || (found->first.first.empty() && target.name == target.op))) {
      target.nodes = {found->second};
      nodes.erase(found);
    } else {
      target.absent = "it is not in the engine's graph by this name";
    }
    rows.push_back(std::move(target));
  }
  return rows;
}

Result<LoopTarget> chosen_of(const std::vector<LoopTarget>& rows, const std::string& words) {
  const auto place = [&](std::string_view name) {
    return std::ranges::find(rows, name, &LoopTarget::name) - rows.begin();
  };
  const auto count = static_cast<std::ptrdiff_t>(rows.size());
  if (const auto whole = place(words); whole < count) return rows[static_cast<std::size_t>(whole)];
  const std::size_t dots = words.find("..");
  const auto first = place(words.substr(0, dots)),
             last = dots == std::string::npos ? count : place(words.substr(dots + 2));
  if (first >= count || last >= count || last < first)
    return fail(ErrorCode::usage, "the table has no layer '" + printable(words, 80) + "'", "--layer",
                "Names are as in the column layer of  prony layers MODEL.onnx ; of a cut: --layer FROM..TO.");
  LoopTarget cut{words, "", "cut", 0, {}, {}};
  for (auto i = static_cast<std::size_t>(first); i <= static_cast<std::size_t>(last); ++i) {
    cut.in_network_s += rows[i].in_network_s;
    cut.nodes.insert(cut.nodes.end(), rows[i].nodes.begin(), rows[i].nodes.end());
    if (cut.absent.empty()) cut.absent = rows[i].absent;
  }
  std::ranges::sort(cut.nodes);
  return cut;
}

void add_upto(LoopPlan& plan, std::size_t nodes, const std::vector<double>& node_s) {
  const std::string id = upto_id(plan, nodes);
  if (nodes == 0 || std::ranges::any_of(plan.parts, [&](const LoopPart& part) { return part.id == id; })) return;
  LoopPart part{id, {}, 0};
  for (std::size_t i = 0; i < nodes; ++i) part.cut.nodes.push_back(i), part.expected_s += node_s[i];
  plan.parts.push_back(std::move(part));
}

void plan_parts(LoopPlan& plan, const std::vector<LoopTarget>& rows) {
  std::vector<double> node_s(plan.engine.graph.nodes.size(), 0);
  for (const LoopTarget& row : rows)
    if (row.nodes.size() == 1) node_s[row.nodes.front()] = row.in_network_s;
  add_upto(plan, plan.engine.graph.nodes.size(), node_s);
  for (const LoopTarget& target : plan.targets) {
    if (!target.absent.empty()) continue;
    if (plan.isolate) {
      const double once = std::max(target.in_network_s, least_layer_s);
      const double copies = std::clamp(std::ceil(wished_run_s / once), 1.0, most_copies);
      plan.parts.push_back({alone_id(target), {target.nodes, static_cast<std::size_t>(copies)}, once * copies});
    }
    if (plan.ablate) {
      add_upto(plan, target.nodes.front(), node_s);
      add_upto(plan, target.nodes.back() + 1, node_s);
    }
  }
}

// Of the phase's headline joules as watts; why there are none otherwise.
std::optional<Estimate> watts_of(const PhaseRow& phase, std::string& absent, std::optional<double>& needed_s) {
  const HeadlineJoules& joules = phase.headline;
  if (joules.gross && joules.resolvable && phase.duration_s > 0) {
    const double per = 1 / phase.duration_s;
    return Estimate{joules.gross->value * per, joules.gross->low * per, joules.gross->high * per, joules.gross->kind};
  }
  absent = joules.needed_s ? "too short for the sensor" : "the sensors cannot tell";
  if (joules.needed_s) needed_s = std::max(needed_s.value_or(0), *joules.needed_s);
  return std::nullopt;
}

// Idle drifts: what it did from before to after is doubt.
Estimate joined_idle(const Estimate& before, const Estimate& after) {
  const double drift = std::fabs(before.value - after.value) / 2;
  return {(before.value + after.value) / 2, (before.low + after.low) / 2 - drift,
          (before.high + after.high) / 2 + drift, weaker(before.kind, after.kind)};
}

void take_loops(LoopResults& results, const Summary& summary) {
  // Of a Run that was killed the last spans are there, but not what sensors said meanwhile: that is measured again.
  const auto whole = [&](const PhaseRow& phase) {
    return phase.span.status == SpanStatus::ok && phase.span.interval.end <= summary.recorded.end;
  };
  std::vector<const PhaseRow*> idles;
  for (const PhaseRow& phase : summary.phases)
    if (phase.span.name.starts_with(idle_phase) && whole(phase)) idles.push_back(&phase);
  for (const PhaseRow& phase : summary.phases) {
    const auto runs = phase.span.count("runs");
    if (!phase.span.name.starts_with(loop_phase) || !whole(phase) || !runs || *runs < 1) continue;
    const std::string id = phase.span.name.substr(std::string_view(loop_phase).size());
    LoopFigures figures;
    figures.runs = *runs;
    figures.run_s = phase.duration_s / static_cast<double>(*runs);
    figures.gross_w = watts_of(phase, figures.absent, figures.needed_s);
    const PhaseRow *before = nullptr, *after = nullptr;
    for (const PhaseRow* idle : idles) {
      if (idle->begin_s < phase.begin_s) before = idle;
      if (after == nullptr && idle->begin_s > phase.begin_s) after = idle;
    }
    if (before != nullptr) figures.idle_w = watts_of(*before, figures.absent, figures.needed_s);
    std::string ignored;
    std::optional<double> not_needed;
    if (const auto late = after != nullptr ? watts_of(*after, ignored, not_needed) : std::nullopt; late)
      figures.idle_w = figures.idle_w ? joined_idle(*figures.idle_w, *late) : *late;
    if (!figures.idle_w && figures.absent.empty()) figures.absent = "there is no idle time beside it";
    LoopFigures& kept = results.loops[id];
    if (!kept.told() || figures.told()) kept = std::move(figures);
  }
  const std::string_view reason(loop_reason_fact);
  for (const Fact& fact : summary.manifest.facts)
    if (fact.key.starts_with(reason) && !results.loops[fact.key.substr(reason.size())].told())
      results.loops[fact.key.substr(reason.size())].absent = fact.value;
}

}  // namespace

std::string alone_id(const LoopTarget& target) {
  const std::string first = "alone:" + std::to_string(target.nodes.front());
  if (target.nodes.size() == 1) return first;
  return first + ".." + std::to_string(target.nodes.back()) + "/" + std::to_string(target.nodes.size());
}

std::string upto_id(const LoopPlan& plan, std::size_t nodes) {
  return nodes == plan.engine.graph.nodes.size() ? network_loop : "upto:" + std::to_string(nodes);
}

Result<LoopPlan> plan_loops(const std::string& folder, bool isolate, bool ablate, const std::vector<std::string>& which,
                            std::int64_t windows) {
  LoopPlan plan;
  plan.times_path = (fs::path(folder) / "times.prony").string();
  plan.engine_path = (fs::path(folder) / "engine.onnx").string();
  plan.isolate = isolate, plan.ablate = ablate;
  const auto summary = summary_of(plan.times_path);
  if (!summary) return Unexpected<Error>(summary.error());
  auto report = network_report(*summary);
  if (!report) return Unexpected<Error>(report.error());
  plan.report = std::move(*report);
  if (!plan.report.contains("times"))
    return fail(ErrorCode::usage, "layers of language models are not cut out and looped", folder,
                "--isolate and --ablate are for .onnx.");
  auto engine = complexity::read_onnx(plan.engine_path);
  if (!engine) return Unexpected<Error>(engine.error());
  plan.engine = std::move(*engine);
  take_sensor(plan, *summary);
  const std::vector<LoopTarget> rows = loopable_rows(plan);
  for (const std::string& words : which) {
    auto chosen = chosen_of(rows, words);
    if (!chosen) return Unexpected<Error>(chosen.error());
    plan.targets.push_back(std::move(*chosen));
  }
  if (which.empty()) plan.targets = rows;
  std::vector<layers::NamedTime> times;
  for (const LoopTarget& one : rows) times.push_back({one.name, one.in_network_s});
  const LoopJson energy = plan.report.value("energy", LoopJson::object());
  plan.identifiability =
      layers::identify(plan.sensor, times, energy.contains("mean_w") ? json_number(energy["mean_w"], "value") : 0);
  const double each = std::max(plan.sensor.period_s, plan.sensor.window_s);
  if (plan.channels.empty())
    plan.identifiability.verdict = "not resolvable: nothing gives joules here";
  else if (each <= 0)
    plan.identifiability.verdict =
        "not known before: nobody tells how often the sensor renews its value; loops are made longer until it can tell";
  plan.loop_s = windows > 0 ? static_cast<double>(windows) * each + plan.sensor.window_s
                            : std::max(plan.identifiability.loop_s, least_loop_s);
  plan_parts(plan, rows);
  return plan;
}

Result<LoopResults> read_loops(const std::string& folder) {
  LoopResults results;
  for (int number = 1;; ++number) {
    const std::string path = (fs::path(folder) / ("loops-" + std::to_string(number) + ".prony")).string();
    std::error_code ignored;
    if (!fs::exists(path, ignored)) break;
    const auto summary = summary_of(path);
    if (!summary) return Unexpected<Error>(summary.error());
    take_loops(results, *summary);
    results.runs.push_back(path);
    results.simulated = summary->simulated;
    if (summary->cpu && summary->cpu->foreign_share)
      results.foreign_share = std::max(results.foreign_share.value_or(0), *summary->cpu->foreign_share);
  }
  return results;
}

}  // namespace prony::app
