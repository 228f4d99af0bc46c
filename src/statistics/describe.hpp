// What a handful of numbers comes to: mean, spread, quantiles by a named rule. Units are the caller's. Pure functions
// of their arguments; any thread. Absent says why there is no figure; values that are not finite are a reason. Source
// of the rules of quantiles: Hyndman & Fan 1996, The American Statistician 50(4).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "model/metrics.hpp"

namespace prony::statistics {

using metrics::Absent;
using metrics::Maybe;

struct Description {
  std::size_t count = 0;
  double mean = 0, min = 0, max = 0, median = 0;
  std::optional<double> sd;  // ddof 1; from two values on
  std::optional<double> cv;  // sd / |mean|; not around 0
};
[[nodiscard]] Maybe<Description> describe(std::span<const double> values);

// Where the p-quantile of n sorted values x₀…x₍ₙ₋₁₎ lies.
enum class QuantileRule {
  linear,           // between order statistics at p·(n − 1): NumPy's, pandas' and R's default (type 7)
  median_unbiased,  // at p·(n + 1/3) − 2/3: right in the median whatever the distribution (type 8)
  rank_below,       // x[⌊n·p⌋], no interpolation: MLPerf LoadGen
  rank_from_top,    // x[max(n − 1 − ⌊(1 − p)·n⌋, 0)]: trtexec
};
// 0 ≤ p ≤ 1. Whether n values are enough for a percentile that is to be believed: metrics::least_count().
[[nodiscard]] Maybe<double> quantile(std::span<const double> values, double p, QuantileRule rule);
// The same of values that are sorted and finite already; there must be one.
[[nodiscard]] double quantile_of_sorted(std::span<const double> sorted, double p, QuantileRule rule);

// MLPerf's early stopping: a latency that the p-quantile does not exceed, with 99 % confidence, whatever the
// distribution: the t-th highest of the values, t being the most of them that may lie beyond (LoadGen discards the t −
// 1 above). Absent below the least count for t = 1 (p90 64, p95 130, p99 662). Source: MLPerf inference policies,
// appendix on early stopping; LoadGen's results.cc.
struct EarlyStop {
  double bound = 0;
  std::size_t discarded = 0;  // t − 1
};
[[nodiscard]] Maybe<EarlyStop> early_stopping_bound(std::span<const double> values, double p);

// nullopt: all values are finite.
[[nodiscard]] std::optional<Absent> not_finite(std::span<const double> values);

}  // namespace prony::statistics
