// Distributions that intervals come from: Student's t, the normal, and the exact power of a t-test (noncentral t). By
// Boost.Math in double precision, so that every platform gives the same. Pure; any thread. p must lie in (0, 1) and
// degrees of freedom above 0 (need not be whole): outside, the result is NaN, which callers rule out.
#pragma once

namespace prony::statistics {

[[nodiscard]] double student_t_quantile(double p, double degrees);  // 0.975, 4 → 2.776
[[nodiscard]] double student_t_below(double t, double degrees);     // P(T ≤ t)
[[nodiscard]] double normal_quantile(double p);                     // 0.975 → 1.960
[[nodiscard]] double normal_below(double z);                        // P(Z ≤ z)
// How probable it is that a two-sided t-test at `level` (0.95) sees a difference of `standard_errors` standard errors.
[[nodiscard]] double t_test_power(double standard_errors, double degrees, double level);

}  // namespace prony::statistics
