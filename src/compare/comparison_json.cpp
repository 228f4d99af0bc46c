#include <algorithm>
#include <cmath>

#include "compare/comparison_text.hpp"
#include "reports/json_put.hpp"

namespace prony::compare {

namespace {

using Json = nlohmann::ordered_json;
using statistics::LevelInterval;

constexpr std::size_t most_resampled = 1000;  // values: above, what a bootstrap adds to Student's t is nothing

void put_interval(Json& out, const char* name, const metrics::Maybe<LevelInterval>& interval) {
  if (!interval) {
    out[std::string(name) + "_absent"] = interval.error().reason;
    return;
  }
  out[name] = {{"value", interval->value}, {"low", interval->low}, {"high", interval->high}};
}

Json side_json(const std::vector<double>& values, const std::optional<double>& mean) {
  Json out{{"values", values.size()}};
  put(out, "mean", mean);
  if (const auto described = statistics::describe(values); described && values.size() > 1) {
    out["min"] = described->min;
    out["median"] = described->median;
    out["max"] = described->max;
    put(out, "sd", described->sd);
    put(out, "cv", described->cv);
    put_interval(out, "mean_interval_95", statistics::mean_interval(values));
    if (values.size() <= most_resampled)
      put_interval(out, "mean_bootstrap_bca_95", statistics::bootstrap_bca(values, statistics::mean_of));
    for (const auto& [name, p] : {std::pair("p90_at_most", 0.9), std::pair("p99_at_most", 0.99)})
      if (const auto bound = statistics::early_stopping_bound(values, p)) out[name] = bound->bound;
  }
  return out;
}

Json row_json(const ComparedRow& row) {
  const MetricRow& metric = metric_rows()[row.metric];
  Json out{{"metric", std::string(metric.name)}, {"unit", std::string(metric.unit)}};
  if (metric.better != Better::neither) out["better"] = metric.better == Better::lower ? "lower" : "higher";
  put(out, "absent", row.absent);
  if (row.basis) {
    out["basis"] = std::string(to_string(*row.basis));
    out["paired"] = row.paired;
  }
  out["before"] = side_json(row.before, row.mean_before);
  out["after"] = side_json(row.after, row.mean_after);
  if (!row.basis) return out;
  put_interval(out, "relative_change", row.relative);
  put_interval(out, "change", row.change);
  if (row.hedges_g) put(out, "hedges_g", std::optional(*row.hedges_g));
  if (row.minimum_detectable) put(out, "minimum_detectable_change", std::optional(*row.minimum_detectable));
  if (row.needed_for_5_percent) out["values_needed_for_5_percent"] = *row.needed_for_5_percent;
  return out;
}

}  // namespace

Json to_json(const Comparison& c, const std::vector<GateOutcome>& gates) {
  Json out{{"schema", "prony.compare/1"},
           {"before", c.before},
           {"after", c.after},
           {"runs_before", c.runs_before},
           {"runs_after", c.runs_after}};
  out["metrics"] = Json::array();
  for (const ComparedRow& row : c.rows) out["metrics"].push_back(row_json(row));
  out["guards"] = c.guards;
  out["differs"] = Json::array();
  for (const FactDifference& one : c.settings)
    out["differs"].push_back({{"key", one.key}, {"before", one.before}, {"after", one.after}});
  out["fail_if"] = Json::array();
  for (const GateOutcome& gate : gates)
    out["fail_if"].push_back(
        {{"condition", gate.condition.text}, {"fulfilled", std::string(to_string(gate.verdict))}, {"why", gate.why}});
  return out;
}

}  // namespace prony::compare
