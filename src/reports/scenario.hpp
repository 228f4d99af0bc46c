// Scenario: whether a load was what one of MLPerf Inference's scenarios asks for, and its result by their definition.
// Their rules alone: no accuracy is checked and LoadGen did not run, so none of it is a result of MLPerf's. Pure.
// Sources: mlcommons/inference_policies inference_rules.adoc (§Scenarios, early stopping); mlcommons/inference
// loadgen/results.cc, early_stopping.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reports/load_figures.hpp"

namespace prony {

enum class Scenario { single_stream, multi_stream, server, offline };
[[nodiscard]] std::optional<Scenario> scenario_from(std::string_view word) noexcept;

struct ScenarioVerdict {
  bool valid = false;
  std::string metric;           // its name in JSON, with its unit
  std::optional<double> value;  // by their definition
  // The estimate of the percentile that early stopping allows to be told: no smaller than the plain one.
  std::optional<double> early_stopping_s;
  std::vector<std::string> words;    // for people
  std::vector<std::string> reasons;  // why it is not valid; empty: it is
};

inline constexpr double mlperf_least_s = 600;  // of every scenario
inline constexpr std::size_t mlperf_offline_samples = 24'576;
inline constexpr std::size_t mlperf_multi_queries = 662;
inline constexpr std::size_t mlperf_samples_per_query = 8;

// nullopt: the load was of no scenario.
[[nodiscard]] std::optional<ScenarioVerdict> scenario_verdict(const Summary& summary, const LoadFigures& load);

}  // namespace prony
