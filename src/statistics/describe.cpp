#include "statistics/describe.hpp"

#include <algorithm>
#include <cmath>

namespace prony::statistics {

namespace {

std::vector<double> sorted_copy(std::span<const double> values) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

}  // namespace

std::optional<Absent> not_finite(std::span<const double> values) {
  if (std::ranges::all_of(values, [](double value) { return std::isfinite(value); })) return std::nullopt;
  return Absent{"a value is not a finite number"};
}

Maybe<Description> describe(std::span<const double> values) {
  if (auto bad = not_finite(values)) return Unexpected<Absent>(std::move(*bad));
  const auto mean = metrics::mean(values);
  if (!mean) return Unexpected<Absent>(mean.error());
  const auto sorted = sorted_copy(values);
  Description out;
  out.count = values.size();
  out.mean = *mean;
  out.min = sorted.front();
  out.max = sorted.back();
  out.median = quantile_of_sorted(sorted, 0.5, QuantileRule::linear);
  if (const auto sd = metrics::sd(values)) {
    out.sd = *sd;
    if (out.mean != 0) out.cv = *sd / std::abs(out.mean);
  }
  return out;
}

double quantile_of_sorted(std::span<const double> sorted, double p, QuantileRule rule) {
  const auto n = static_cast<double>(sorted.size());
  double place = 0;
  switch (rule) {
    case QuantileRule::linear: place = p * (n - 1); break;
    case QuantileRule::median_unbiased: place = p * (n + 1.0 / 3) - 2.0 / 3; break;
    case QuantileRule::rank_below: place = std::floor(n * p); break;
    case QuantileRule::rank_from_top: place = n - 1 - std::floor((1 - p) * n); break;
  }
  place = std::clamp(place, 0.0, n - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Maybe<double> quantile(std::span<const double> values, double p, QuantileRule rule) {
  if (values.empty()) return Unexpected<Absent>(Absent{"no values"});
  if (!(p >= 0 && p <= 1)) return Unexpected<Absent>(Absent{"a quantile lies between 0 and 1"});
  if (auto bad = not_finite(values)) return Unexpected<Absent>(std::move(*bad));
  return quantile_of_sorted(sorted_copy(values), p, rule);
}

Maybe<EarlyStop> early_stopping_bound(std::span<const double> values, double p) {
  if (!(p > 0 && p < 1)) return Unexpected<Absent>(Absent{"a percentile lies between 0 and 100, without them"});
  if (auto bad = not_finite(values)) return Unexpected<Absent>(std::move(*bad));
  const auto beyond = metrics::most_over(p, values.size());
  if (!beyond || *beyond == 0)
    return Unexpected<Absent>(Absent{"needs " + std::to_string(metrics::least_count(p, 1)) + " values, has " +
                                     std::to_string(values.size())});
  const auto sorted = sorted_copy(values);
  return EarlyStop{sorted[sorted.size() - *beyond], *beyond - 1};
}

}  // namespace prony::statistics
