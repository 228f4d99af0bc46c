#include "reports/scenario.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "model/metrics.hpp"
#include "reports/figures.hpp"

namespace prony {

namespace {

using figures::count_of;
using Rows = std::vector<const RequestRow*>;

Rows in_order(const Summary& summary) {
  Rows rows;
  for (const RequestRow& row : summary.requests) rows.push_back(&row);
  std::sort(rows.begin(), rows.end(), [](const RequestRow* a, const RequestRow* b) {
    return a->span.interval.begin.ns != b->span.interval.begin.ns
               ? a->span.interval.begin.ns < b->span.interval.begin.ns
               : a->span.id < b->span.id;
  });
  return rows;
}

// Every request of a scenario counts: one that failed or was called off makes the run none.
void need_all_answered(const LoadFigures& load, ScenarioVerdict& verdict) {
  const std::size_t lost = load.all.failed + load.all.cancelled + load.not_begun.value_or(0);
  if (lost > 0) verdict.reasons.push_back(count_of(lost) + " request(s) were not answered: all must be");
}

void need_duration(double seconds, ScenarioVerdict& verdict) {
  if (seconds < mlperf_least_s)
    verdict.reasons.push_back("it took " + figures::seconds(seconds) + ": at least 600 s are asked for");
}

// A percentile of latencies by LoadGen's definition, and the estimate that its early stopping allows.
void tell_percentile(const std::vector<double>& latencies, double p, const std::string& what,
                     ScenarioVerdict& verdict) {
  const auto plain = metrics::percentile_mlperf(latencies, p);
  if (!plain) return;
  verdict.value = *plain;
  const std::string name = p == 0.9 ? "p90" : "p99";
  verdict.words.push_back(name + " " + figures::seconds(*plain) + " of " + what);
  const auto over = metrics::most_over(p, latencies.size());
  // One must be allowed beyond it: LoadGen's least t is 1.
  if (!over || *over < 1) {
    verdict.reasons.push_back(count_of(latencies.size()) + " queries: early stopping asks for " +
                              count_of(metrics::least_count(p, 1)) + " at least");
    return;
  }
  std::vector<double> sorted = latencies;
  std::sort(sorted.begin(), sorted.end());
  verdict.early_stopping_s = sorted[sorted.size() - *over];
  verdict.words.push_back("early stopping's estimate " + figures::seconds(*verdict.early_stopping_s));
}

double issued_for_s(const Rows& rows) {
  return static_cast<double>(rows.back()->span.interval.begin.ns - rows.front()->span.interval.begin.ns) * 1e-9;
}

void single_stream(const Rows& rows, const LoadFigures& load, ScenarioVerdict& verdict) {
  verdict.metric = "p90_latency_s";
  std::vector<double> latencies;
  for (const RequestRow* row : rows)
    if (end_of(*row) == RequestEnd::ok && row->e2e_s) latencies.push_back(*row->e2e_s);
  tell_percentile(latencies, 0.9, "latency", verdict);
  need_duration(issued_for_s(rows), verdict);
  if (load.all.most_under_way > 1) verdict.reasons.emplace_back("more than one request was under way at once");
}

// Queries of so many samples; one has taken as long as the last of its samples.
void multi_stream(const Rows& rows, std::size_t samples, ScenarioVerdict& verdict) {
  verdict.metric = "p99_query_latency_s";
  std::vector<double> latencies;
  for (std::size_t first = 0; first + samples <= rows.size(); first += samples) {
    std::int64_t end = 0;
    for (std::size_t i = first; i < first + samples; ++i) end = std::max(end, rows[i]->span.interval.end.ns);
    latencies.push_back(static_cast<double>(end - rows[first]->span.interval.begin.ns) * 1e-9);
  }
  tell_percentile(latencies, 0.99, "queries of " + count_of(samples) + (samples == 1 ? " sample" : " samples"),
                  verdict);
  need_duration(issued_for_s(rows), verdict);
  if (latencies.size() < mlperf_multi_queries)
    verdict.reasons.push_back(count_of(latencies.size()) + " queries: at least 662 are asked for");
}

void server(const Summary& summary, const LoadFigures& load, ScenarioVerdict& verdict) {
  verdict.metric = "requests_per_s";
  verdict.value = load.all.offered_per_s;
  if (verdict.value) verdict.words.push_back(figures::significant(*verdict.value, 3) + " requests/s");
  double first = 0, last = 0;
  bool any = false;
  for (const RequestRow& row : summary.requests)
    if (const auto at = row.span.count("scheduled_ns")) {
      const double at_s = static_cast<double>(*at) * 1e-9;
      first = any ? std::min(first, at_s) : at_s;
      last = any ? std::max(last, at_s) : at_s;
      any = true;
    }
  need_duration(last - first, verdict);
  if (!load.slo) {
    verdict.reasons.emplace_back("no limit was set: --slo mlperf:MODEL");
    return;
  }
  // Each limit by itself: of all queries at most so many may break it.
  const auto over = metrics::most_over(0.99, load.all.requests);
  for (const auto& [name, limit] : {std::pair{"TTFT", load.slo->ttft_s}, {"TPOT", load.slo->tpot_s}}) {
    if (!limit) continue;
    std::size_t broken = 0;
    for (const RequestRow& row : summary.requests) {
      const bool ttft = std::string_view(name) == "TTFT";
      const auto value = ttft ? row.ttft_s : row.tpot_s;
      const double late = ttft ? late_s(row).value_or(0) : 0;
      broken += (value && *value + late > *limit) || (!value && (ttft || row.output_tokens != 1)) ? 1 : 0;
    }
    verdict.words.push_back(count_of(broken) + " over " + name);
    if (!over)
      verdict.reasons.push_back(count_of(load.all.requests) + " queries: early stopping asks for " +
                                count_of(metrics::least_count(0.99, broken)) + " with " + count_of(broken) + " over " +
                                name);
    else if (broken > *over)
      verdict.reasons.push_back(count_of(broken) + " of " + count_of(load.all.requests) +
                                " queries are over the limit of " + name + ": " + count_of(*over) + " may be");
  }
}

void offline(const LoadFigures& load, ScenarioVerdict& verdict) {
  verdict.metric = "samples_per_s";
  verdict.value = load.all.reached_per_s;
  if (verdict.value) verdict.words.push_back(figures::significant(*verdict.value, 3) + " samples/s");
  if (load.all.output_tokens_per_s)
    verdict.words.push_back(figures::significant(*load.all.output_tokens_per_s, 3) + " tok/s out");
  need_duration(load.all.duration_s, verdict);
  if (load.all.requests < mlperf_offline_samples)
    verdict.reasons.push_back(count_of(load.all.requests) + " samples: at least 24 576 are asked for");
}

}  // namespace

std::optional<Scenario> scenario_from(std::string_view word) noexcept {
  if (word == "single-stream") return Scenario::single_stream;
  if (word == "multi-stream") return Scenario::multi_stream;
  if (word == "server") return Scenario::server;
  if (word == "offline") return Scenario::offline;
  return std::nullopt;
}

std::optional<ScenarioVerdict> scenario_verdict(const Summary& summary, const LoadFigures& load) {
  const auto scenario = scenario_from(load.scenario);
  if (!scenario || summary.requests.empty()) return std::nullopt;
  ScenarioVerdict verdict;
  const Rows rows = in_order(summary);
  switch (*scenario) {
    case Scenario::single_stream: single_stream(rows, load, verdict); break;
    case Scenario::multi_stream: {
      const auto told = summary.fact("load.samples_per_query");
      const auto samples = static_cast<std::size_t>(parse_u64(told).value_or(mlperf_samples_per_query));
      multi_stream(rows, std::max<std::size_t>(samples, 1), verdict);
      break;
    }
    case Scenario::server: server(summary, load, verdict); break;
    case Scenario::offline: offline(load, verdict); break;
  }
  need_all_answered(load, verdict);
  verdict.valid = verdict.reasons.empty();
  verdict.words.insert(verdict.words.begin(),
                       "MLPerf's " + load.scenario + ": " + (verdict.valid ? "VALID" : "INVALID"));
  verdict.words.emplace_back("by its rules of load alone: no result of MLPerf's");
  return verdict;
}

}  // namespace prony
