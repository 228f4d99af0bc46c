// How far two sets of values are apart, and what could have been told: paired or unpaired difference of means with its
// interval, the same as a ratio, effect size, the least difference that so many values would have shown, and how many
// values a wanted difference needs. Units are the caller's. Pure; any thread.
// Source: Welch 1947 (Biometrika 34); Hedges 1981 (J. Educational Statistics 6) for g; the ratio's interval is that of
// its logarithm by the delta method; power by the noncentral t (Cohen 1988, ch. 2).
#pragma once

#include "statistics/interval.hpp"

namespace prony::statistics {

struct Difference {
  bool paired = false;
  std::size_t before = 0, after = 0;                                            // values
  LevelInterval absolute;                                                       // mean(after) − mean(before)
  Maybe<LevelInterval> relative = Unexpected<Absent>(Absent{"not asked for"});  // mean(after) / mean(before) − 1
  Maybe<double> hedges_g = Unexpected<Absent>(Absent{"not asked for"});
  double standard_error = 0, degrees = 0;
  double p_value = 1;  // two-sided, of no difference; 1 where nothing varies and nothing differs, 0 where it differs
  // What a test of this many values with this scatter sees in 80 % of cases.
  Maybe<double> minimum_detectable = Unexpected<Absent>(Absent{"not asked for"});
};

// Welch: two independent sets, of two values at least each.
[[nodiscard]] Maybe<Difference> unpaired_difference(std::span<const double> before, std::span<const double> after,
                                                    double level = 0.95);
// before[i] and after[i] belong together; two pairs at least.
[[nodiscard]] Maybe<Difference> paired_difference(std::span<const double> before, std::span<const double> after,
                                                  double level = 0.95);

// The difference, in standard errors, that a two-sided test at `level` sees with probability `power`.
[[nodiscard]] double detectable_standard_errors(double degrees, double level, double power);

// How many values a mean needs so that its interval is no wider than ± `share` of it, from the CV so far; or two sets
// of n each (or n pairs, whose differences have the CV) so that a difference of `share` is seen in 80 % of cases.
// Absent where a million would not do.
[[nodiscard]] Maybe<std::size_t> values_for_interval(double cv, double share, double level = 0.95);
[[nodiscard]] Maybe<std::size_t> values_for_difference(double cv, double share, bool paired, double level = 0.95,
                                                       double power = 0.8);

}  // namespace prony::statistics
