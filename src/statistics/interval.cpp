#include "statistics/interval.hpp"

#include <algorithm>
#include <cmath>

#include "statistics/distributions.hpp"

namespace prony::statistics {

namespace {

Unexpected<Absent> no_interval(std::string reason) { return Unexpected<Absent>(Absent{std::move(reason)}); }

// The statistic of each resample, sorted.
std::vector<double> resampled(std::span<const double> values, const Statistic& statistic, const Bootstrap& options) {
  const auto n = static_cast<std::uint64_t>(values.size());
  std::vector<double> all(options.resamples), resample(values.size());
  std::uint64_t counter = 0;
  for (double& one : all) {
    for (double& value : resample) value = values[static_cast<std::size_t>(drawn_below(options.seed, counter++, n))];
    one = statistic(resample);
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::optional<Absent> not_enough(std::span<const double> values, const Bootstrap& options) {
  if (values.size() < 3) return Absent{"a bootstrap needs three values, has " + std::to_string(values.size())};
  if (options.resamples < 100) return Absent{"a bootstrap needs 100 resamples"};
  if (!(options.level > 0 && options.level < 1)) return Absent{"a level lies between 0 and 1"};
  return not_finite(values);
}

}  // namespace

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

Maybe<LevelInterval> mean_interval(std::span<const double> values, double level) {
  if (values.size() < 2) return no_interval("an interval needs two values, has " + std::to_string(values.size()));
  if (!(level > 0 && level < 1)) return no_interval("a level lies between 0 and 1");
  if (auto bad = not_finite(values)) return Unexpected<Absent>(std::move(*bad));
  const auto n = static_cast<double>(values.size());
  const double mean = mean_of(values);
  const double half = student_t_quantile((1 + level) / 2, n - 1) * *metrics::sd(values) / std::sqrt(n);
  return LevelInterval{mean, mean - half, mean + half, level};
}

Maybe<LevelInterval> bootstrap_percentile(std::span<const double> values, const Statistic& statistic,
                                          const Bootstrap& options) {
  if (auto bad = not_enough(values, options)) return Unexpected<Absent>(std::move(*bad));
  const auto all = resampled(values, statistic, options);
  const double tail = (1 - options.level) / 2;
  return LevelInterval{statistic(values), quantile_of_sorted(all, tail, QuantileRule::linear),
                       quantile_of_sorted(all, 1 - tail, QuantileRule::linear), options.level};
}

double acceleration(std::span<const double> values, const Statistic& statistic) {
  std::vector<double> left_out, others(values.begin() + 1, values.end());
  for (std::size_t i = 0; i < values.size(); ++i) {
    left_out.push_back(statistic(others));
    if (i < others.size()) others[i] = values[i];
  }
  const double mean = mean_of(left_out);
  double squares = 0, cubes = 0;
  for (const double one : left_out) {
    squares += (mean - one) * (mean - one);
    cubes += (mean - one) * (mean - one) * (mean - one);
  }
  return squares > 0 ? cubes / (6 * squares * std::sqrt(squares)) : 0;
}

double bca_level(double p, double bias, double acceleration) {
  const double shifted = bias + normal_quantile(p);
  return normal_below(bias + shifted / (1 - acceleration * shifted));
}

Maybe<LevelInterval> bootstrap_bca(std::span<const double> values, const Statistic& statistic,
                                   const Bootstrap& options) {
  if (auto bad = not_enough(values, options)) return Unexpected<Absent>(std::move(*bad));
  const auto all = resampled(values, statistic, options);
  const double seen = statistic(values);
  if (all.front() == all.back()) return LevelInterval{seen, seen, seen, options.level};
  // Ties count half: with few values resamples often give the very value that was seen.
  const auto below = std::lower_bound(all.begin(), all.end(), seen) - all.begin();
  const auto up_to = std::upper_bound(all.begin(), all.end(), seen) - all.begin();
  const double share = static_cast<double>(below + up_to) / (2 * static_cast<double>(all.size()));
  if (share <= 0 || share >= 1) return no_interval("no resample lies on one side of what was seen");
  const double bias = normal_quantile(share), a = acceleration(values, statistic), tail = (1 - options.level) / 2;
  return LevelInterval{seen, quantile_of_sorted(all, bca_level(tail, bias, a), QuantileRule::linear),
                       quantile_of_sorted(all, bca_level(1 - tail, bias, a), QuantileRule::linear), options.level};
}

}  // namespace prony::statistics
