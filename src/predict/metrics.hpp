// How far predictions are off: of measured and predicted values, both above 0 but where a method gives what it gives.
// RMSPE as EdgeProfiler and NeuralPower have it: 100·√mean(((y − ŷ)/y)²). Pure; any thread.
#pragma once

#include <cstddef>
#include <vector>

namespace prony::predict {

struct FitMetrics {
  std::size_t count = 0;
  double rmspe = 0, mape = 0;          // percent
  double rmse = 0, mae = 0;            // in the unit of what is predicted
  double r2 = 0;                       // against the mean of these very values; 0 where they do not vary
  double within_5 = 0, within_10 = 0;  // shares of rows, percent
};
[[nodiscard]] FitMetrics metrics_of(const std::vector<double>& measured, const std::vector<double>& predicted);

// The value below which `share` of them lie, as conformal prediction counts: the ⌈share·(n + 1)⌉-th smallest, the
// largest where there are too few. `weights` sum to anything; each value counts by its own. Empty: 0.
[[nodiscard]] double conformal_quantile(std::vector<std::pair<double, double>> values_and_weights, double share);
// The two-sided quantile of Student's t for that coverage (0.9: both tails have 0.05).
[[nodiscard]] double student_t(double coverage, std::size_t degrees);

}  // namespace prony::predict
