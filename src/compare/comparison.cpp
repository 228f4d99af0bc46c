#include "compare/comparison.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.hpp"
#include "compare/guards.hpp"
#include "reports/figures.hpp"

namespace prony::compare {

namespace {

using metrics::Absent;
using metrics::Maybe;
using statistics::LevelInterval;

Unexpected<Absent> absent(std::string reason) { return Unexpected<Absent>(Absent{std::move(reason)}); }

ComparedRow empty_row(std::size_t metric, const std::string& reason) {
  return {metric,
          std::nullopt,
          false,
          {},
          {},
          std::nullopt,
          std::nullopt,
          absent(reason),
          absent(reason),
          absent(reason),
          absent(reason),
          absent(reason),
          absent(reason),
          reason};
}

// Runs in the order of their cycles, where every Run of both sides tells its own and both sides have the same.
std::optional<std::vector<std::pair<const RunFigures*, const RunFigures*>>> by_cycle(const Variant& a,
                                                                                     const Variant& b) {
  std::map<std::string, const RunFigures*> first, second;
  for (const RunFigures& run : a.runs) first[run.cycle] = &run;
  for (const RunFigures& run : b.runs) second[run.cycle] = &run;
  if (first.size() != a.runs.size() || second.size() != b.runs.size() || first.contains("")) return std::nullopt;
  std::vector<std::pair<const RunFigures*, const RunFigures*>> pairs;
  for (const auto& [cycle, run] : first) {
    const auto other = second.find(cycle);
    if (other == second.end()) return std::nullopt;
    pairs.emplace_back(run, other->second);
  }
  if (pairs.size() != second.size()) return std::nullopt;
  return pairs;
}

void set_difference(ComparedRow& row, const CompareOptions& options) {
  const auto difference = row.paired ? statistics::paired_difference(row.before, row.after, options.level)
                                     : statistics::unpaired_difference(row.before, row.after, options.level);
  row.value_after = statistics::mean_interval(row.after, options.level);
  if (!difference) {
    row.relative = row.change = absent(difference.error().reason);
    row.hedges_g = row.minimum_detectable = absent(difference.error().reason);
    row.needed_for_5_percent = absent(difference.error().reason);
    return;
  }
  row.relative = difference->relative;
  row.change = difference->absolute;
  row.hedges_g = difference->hedges_g;
  row.minimum_detectable = difference->minimum_detectable;
  const double mean = *row.mean_before, n = static_cast<double>(std::min(row.before.size(), row.after.size()));
  const double cv = mean != 0 ? difference->standard_error * std::sqrt(n / (row.paired ? 1 : 2)) / std::abs(mean) : 0;
  row.needed_for_5_percent = mean == 0 ? Maybe<std::size_t>(absent("a share of nothing means nothing"))
                                       : statistics::values_for_difference(cv, 0.05, row.paired, options.level);
}

void set_means(ComparedRow& row) {
  if (!row.before.empty()) row.mean_before = statistics::mean_of(row.before);
  if (!row.after.empty()) row.mean_after = statistics::mean_of(row.after);
}

ComparedRow of_runs(std::size_t metric, const Variant& a, const Variant& b, const CompareOptions& options) {
  ComparedRow row = empty_row(metric, "");
  row.basis = Basis::runs;
  const auto pairs = options.pairing == Pairing::no ? std::nullopt : by_cycle(a, b);
  const auto add = [&](const RunFigures& run, std::vector<double>& to) {
    const auto& figure = run.figures[metric];
    if (figure)
      to.push_back(figure->value);
    else if (row.absent.empty())
      row.absent = figure.error().reason + " (" + run.path + ")";
  };
  if (pairs) {
    row.paired = true;
    for (const auto& [before, after] : *pairs) add(*before, row.before), add(*after, row.after);
  } else {
    row.paired = options.pairing == Pairing::yes;
    for (const RunFigures& run : a.runs) add(run, row.before);
    for (const RunFigures& run : b.runs) add(run, row.after);
  }
  // A mean over those Runs alone that could tell would be of other work than its neighbour.
  if (!row.absent.empty()) {
    ComparedRow none = empty_row(metric, row.absent);
    set_means(row);
    none.mean_before = row.before.size() == a.runs.size() ? row.mean_before : std::nullopt;
    none.mean_after = row.after.size() == b.runs.size() ? row.mean_after : std::nullopt;
    return none;
  }
  set_means(row);
  set_difference(row, options);
  return row;
}

// One Run each: request by request where both asked the same prompts.
bool of_requests(ComparedRow& row, const RunFigures& a, const RunFigures& b, const CompareOptions& options) {
  std::map<std::string, double> first;
  std::vector<double> all_before, all_after, paired_before, paired_after;
  for (const RequestFigures& request : a.requests)
    if (request.values[row.metric]) {
      first[request.key] = *request.values[row.metric];
      all_before.push_back(*request.values[row.metric]);
    }
  for (const RequestFigures& request : b.requests) {
    if (!request.values[row.metric]) continue;
    all_after.push_back(*request.values[row.metric]);
    if (const auto same = first.find(request.key); same != first.end()) {
      paired_before.push_back(same->second);
      paired_after.push_back(all_after.back());
    }
  }
  if (all_before.size() < 2 || all_after.size() < 2) return false;
  row.basis = Basis::requests;
  const bool all_paired = paired_before.size() == all_before.size() && paired_after.size() == all_after.size();
  row.paired = options.pairing != Pairing::no && all_paired;
  if (options.pairing == Pairing::yes && !all_paired) {
    row = empty_row(row.metric, "not every request of one Run has its pair in the other");
    return true;
  }
  row.before = row.paired ? std::move(paired_before) : std::move(all_before);
  row.after = row.paired ? std::move(paired_after) : std::move(all_after);
  set_means(row);
  set_difference(row, options);
  return true;
}

// Nothing scatters that could be counted: what the sensors leave open of either figure is left.
void of_sensors(ComparedRow& row, const Measured& a, const Measured& b, double level) {
  row.basis = Basis::sensors;
  row.before = {a.value};
  row.after = {b.value};
  set_means(row);
  const std::string single = "one value on each side: how much it varies is not known";
  row.hedges_g = row.minimum_detectable = absent(single);
  row.needed_for_5_percent = absent(single);
  if (!a.doubt || !b.doubt) {
    row.relative = row.change = row.value_after = absent(single);
    return;
  }
  row.value_after = LevelInterval{b.value, b.doubt->low, b.doubt->high, level};
  row.change = LevelInterval{b.value - a.value, b.doubt->low - a.doubt->high, b.doubt->high - a.doubt->low, level};
  if (a.doubt->low > 0)
    row.relative =
        LevelInterval{b.value / a.value - 1, b.doubt->low / a.doubt->high - 1, b.doubt->high / a.doubt->low - 1, level};
  else
    row.relative = absent("the first may be nothing: there is no share of that");
}

ComparedRow of_single_runs(std::size_t metric, const RunFigures& a, const RunFigures& b,
                           const CompareOptions& options) {
  ComparedRow row = empty_row(metric, "");
  if (of_requests(row, a, b, options)) return row;
  const auto &first = a.figures[metric], &second = b.figures[metric];
  if (!first)
    row = empty_row(metric, first.error().reason + " (" + a.path + ")");
  else if (!second)
    row = empty_row(metric, second.error().reason + " (" + b.path + ")");
  if (first && second)
    of_sensors(row, *first, *second, options.level);
  else if (first)
    row.mean_before = first->value;
  else if (second)
    row.mean_after = second->value;
  return row;
}

ComparedRow of_metric(std::size_t metric, const Variant& a, const Variant& b, const CompareOptions& options,
                      const std::string& refused) {
  if (metric_rows()[metric].energy && !refused.empty()) return empty_row(metric, refused);
  if (a.runs.size() == 1 && b.runs.size() == 1) return of_single_runs(metric, a.runs[0], b.runs[0], options);
  return of_runs(metric, a, b, options);
}

std::string percent_words(const LevelInterval& interval) {
  return format_fixed(interval.value * 100, 1) + " % (" + format_fixed(interval.low * 100, 1) + "…" +
         format_fixed(interval.high * 100, 1) + ")";
}

std::string unit_words(const LevelInterval& interval, std::string_view unit) {
  return figures::significant(interval.value, 3) + " " + std::string(unit) + " (" +
         figures::significant(interval.low, 3) + "…" + figures::significant(interval.high, 3) + ")";
}

}  // namespace

std::string_view to_string(Basis basis) noexcept {
  switch (basis) {
    case Basis::runs: return "runs";
    case Basis::requests: return "requests";
    case Basis::sensors: return "sensors";
  }
  return "";
}

Comparison compare_variants(const Variant& before, const Variant& after, const CompareOptions& options) {
  Comparison out;
  out.before = before.name;
  out.after = after.name;
  out.runs_before = before.runs.size();
  out.runs_after = after.runs.size();
  const std::string refused = options.any_origin ? "" : why_joules_are_not_comparable(before, after);
  for (std::size_t metric = 0; metric < metric_count; ++metric)
    out.rows.push_back(of_metric(metric, before, after, options, refused));
  out.guards = guards_of(before, after, refused);
  out.settings = fact_differences(before, after);
  return out;
}

GateOutcome gate(const Condition& condition, const Comparison& comparison) {
  GateOutcome out{condition, Verdict::cannot_tell, {}};
  const ComparedRow& row = comparison.rows[condition.metric];
  const auto& interval = condition.of == Condition::Of::relative_change ? row.relative
                         : condition.of == Condition::Of::change        ? row.change
                                                                        : row.value_after;
  if (!interval) {
    out.why = !row.absent.empty() ? row.absent : interval.error().reason;
    return out;
  }
  out.verdict = judge(condition, *interval);
  out.why = condition.of == Condition::Of::relative_change
                ? percent_words(*interval)
                : unit_words(*interval, metric_rows()[condition.metric].unit);
  return out;
}

}  // namespace prony::compare
