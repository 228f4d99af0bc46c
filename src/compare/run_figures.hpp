// RunFigures: what of a Run is laid beside others: its figures by name, and those of its requests. From a Summary
// alone; pure; any thread. Units are in the names. Absent figures say why. Formulas: docs/metrics.md,
// docs/metrics-energy.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/metrics.hpp"
#include "reports/summary.hpp"

namespace prony::compare {

enum class Better { lower, higher, neither };

struct MetricRow {
  std::string_view name;   // with unit and denominator
  std::string_view alias;  // a shorter word for it; may be empty
  std::string_view unit;   // "J", "s", "W", "1/s", "B", "1"
  Better better;
  bool energy;  // joules or watts: origins must agree
};
inline constexpr std::size_t metric_count = 14;
[[nodiscard]] const std::array<MetricRow, metric_count>& metric_rows() noexcept;
// By name or alias.
[[nodiscard]] std::optional<std::size_t> metric_from(std::string_view name) noexcept;

struct Measured {
  double value = 0;
  std::optional<Estimate> doubt;  // what the sensors leave open; absent where nothing is
};

struct RequestFigures {
  std::string key;  // the prompt's id and which of its repeats: what pairs it with one of another Run
  std::array<std::optional<double>, metric_count> values;
  std::optional<std::int64_t> output_tokens;
};

// What figures of merit are made of, beside the rows (merit.hpp).
struct MeritFigures {
  metrics::Maybe<double> mbu = Unexpected<metrics::Absent>(metrics::Absent{"not told"});
  metrics::Maybe<double> cpu_share = mbu;        // of the machine's cores, at their nominal clock
  metrics::Maybe<double> tokens_per_word = mbu;  // of the answers that were kept
  std::optional<double> parameters;              // of the model
};

struct RunFigures {
  std::string path;
  Manifest manifest;
  std::string cycle;  // of a study, or as tagged; "": not told
  RunState state = RunState::complete;
  std::optional<Origin> origin;  // of its joules; absent: it has none
  std::string simulated;         // "": a real machine
  std::vector<metrics::Maybe<Measured>> figures;
  std::vector<RequestFigures> requests;  // that were answered
  std::size_t asked = 0, failed = 0;
  MeritFigures merit = {};
};
[[nodiscard]] RunFigures figures_of_run(const Summary& summary);

}  // namespace prony::compare
