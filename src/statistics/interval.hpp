// Intervals of a mean: by Student's t, and by the bootstrap (percentile, and bias-corrected and accelerated). `level`
// is what share of such intervals covers the truth, 0.95. Units are the caller's. Pure; any thread; the same seed gives
// the same interval on every platform: numbers are drawn by an own counter-based generator. Source: Efron & Tibshirani
// 1993, An Introduction to the Bootstrap, ch. 13 and 14; the generator's mixing step: Steele, Lea & Flood 2014
// (SplitMix64).
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "statistics/describe.hpp"

namespace prony::statistics {

struct LevelInterval {
  double value = 0, low = 0, high = 0;
  double level = 0.95;
};

// Mean ± t·sd/√n with n − 1 degrees of freedom; needs two values.
[[nodiscard]] Maybe<LevelInterval> mean_interval(std::span<const double> values, double level = 0.95);

// The i-th number of a seed, any i at any time: no state.
[[nodiscard]] constexpr std::uint64_t drawn(std::uint64_t seed, std::uint64_t i) noexcept {
  std::uint64_t x = seed + (i + 1) * 0x9E3779B97F4A7C15U;
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31U);
}
// Below `bound`, which fits in 32 bits; uneven by at most bound / 2³².
[[nodiscard]] constexpr std::uint64_t drawn_below(std::uint64_t seed, std::uint64_t i, std::uint64_t bound) noexcept {
  return ((drawn(seed, i) >> 32U) * bound) >> 32U;
}

struct Bootstrap {
  std::size_t resamples = 9999;
  std::uint64_t seed = 42;
  double level = 0.95;
};
using Statistic = std::function<double(std::span<const double>)>;
[[nodiscard]] double mean_of(std::span<const double> values);  // there must be one

// Needs three values: with two there are three distinct resamples. Few values make either too narrow: with fewer than
// about ten the t interval is the better one.
[[nodiscard]] Maybe<LevelInterval> bootstrap_percentile(std::span<const double> values, const Statistic& statistic,
                                                        const Bootstrap& options = {});
[[nodiscard]] Maybe<LevelInterval> bootstrap_bca(std::span<const double> values, const Statistic& statistic,
                                                 const Bootstrap& options = {});

// Parts of BCa, by themselves for whoever wants to check them.
[[nodiscard]] double acceleration(std::span<const double> values, const Statistic& statistic);  // by leaving one out
// The level that takes the place of `p` (Efron & Tibshirani 14.10) for a bias z₀ and an acceleration a.
[[nodiscard]] double bca_level(double p, double bias, double acceleration);

}  // namespace prony::statistics
