#include "statistics/difference.hpp"

#include <cmath>
#include <limits>

#include "statistics/distributions.hpp"

namespace prony::statistics {

namespace {

constexpr double usual_power = 0.8;
constexpr std::size_t too_many = 1'000'000;

Unexpected<Absent> no_difference(std::string reason) { return Unexpected<Absent>(Absent{std::move(reason)}); }

double variance(std::span<const double> values) {
  const double sd = *metrics::sd(values);
  return sd * sd;
}

LevelInterval around(double value, double standard_error, double degrees, double level) {
  const double half = standard_error > 0 ? student_t_quantile((1 + level) / 2, degrees) * standard_error : 0;
  return {value, value - half, value + half, level};
}

double two_sided(double difference, double standard_error, double degrees) {
  if (standard_error <= 0) return difference == 0 ? 1 : 0;
  return 2 * student_t_below(-std::abs(difference) / standard_error, degrees);
}

// Of n₁ and n₂ independent variances of means, each with its own degrees of freedom (Welch, Satterthwaite).
double welch_degrees(double first, double n1, double second, double n2) {
  const double sum = first + second;
  if (sum <= 0) return n1 + n2 - 2;
  return sum * sum / (first * first / (n1 - 1) + second * second / (n2 - 1));
}

Maybe<LevelInterval> ratio(double before, double after, double log_error, double degrees, double level) {
  if (before <= 0 || after <= 0) return no_difference("a share of what is not above 0 means nothing");
  const LevelInterval logs = around(std::log(after / before), log_error, degrees, level);
  return LevelInterval{after / before - 1, std::expm1(logs.low), std::expm1(logs.high), level};
}

// Cohen's d of the pooled spread, less its bias in small sets: J = Γ(m/2) / (Γ((m − 1)/2)·√(m/2)), m = n₁ + n₂ − 2.
Maybe<double> hedges(std::span<const double> before, std::span<const double> after) {
  const auto n1 = static_cast<double>(before.size()), n2 = static_cast<double>(after.size());
  const double m = n1 + n2 - 2;
  const double pooled = std::sqrt(((n1 - 1) * variance(before) + (n2 - 1) * variance(after)) / m);
  if (!(pooled > 0)) return no_difference("nothing varies: there is no spread to measure a difference by");
  const double j = std::exp(std::lgamma(m / 2) - std::lgamma((m - 1) / 2)) / std::sqrt(m / 2);
  return j * (mean_of(after) - mean_of(before)) / pooled;
}

void finish(Difference& out, std::span<const double> before, std::span<const double> after, double log_error,
            double log_degrees, double level) {
  out.before = before.size();
  out.after = after.size();
  const double first = mean_of(before), second = mean_of(after);
  out.absolute = around(second - first, out.standard_error, out.degrees, level);
  out.relative = ratio(first, second, log_error, log_degrees, level);
  out.hedges_g = hedges(before, after);
  out.p_value = two_sided(second - first, out.standard_error, out.degrees);
  if (out.standard_error > 0)
    out.minimum_detectable = detectable_standard_errors(out.degrees, level, usual_power) * out.standard_error;
  else
    out.minimum_detectable = no_difference("nothing varies: there is no scatter to compute it from");
}

std::optional<Absent> unfit(std::span<const double> before, std::span<const double> after, double level) {
  if (before.size() < 2 || after.size() < 2)
    return Absent{"a difference with an interval needs two values on each side, has " + std::to_string(before.size()) +
                  " and " + std::to_string(after.size())};
  if (!(level > 0 && level < 1)) return Absent{"a level lies between 0 and 1"};
  if (auto bad = not_finite(before)) return bad;
  return not_finite(after);
}

}  // namespace

Maybe<Difference> unpaired_difference(std::span<const double> before, std::span<const double> after, double level) {
  if (auto bad = unfit(before, after, level)) return Unexpected<Absent>(std::move(*bad));
  const auto n1 = static_cast<double>(before.size()), n2 = static_cast<double>(after.size());
  const double v1 = variance(before) / n1, v2 = variance(after) / n2;
  const double m1 = mean_of(before), m2 = mean_of(after);
  Difference out;
  out.standard_error = std::sqrt(v1 + v2);
  out.degrees = welch_degrees(v1, n1, v2, n2);
  // The logarithm of a mean varies as the mean does relative to itself.
  const double r1 = m1 != 0 ? v1 / (m1 * m1) : 0, r2 = m2 != 0 ? v2 / (m2 * m2) : 0;
  finish(out, before, after, std::sqrt(r1 + r2), welch_degrees(r1, n1, r2, n2), level);
  return out;
}

Maybe<Difference> paired_difference(std::span<const double> before, std::span<const double> after, double level) {
  if (before.size() != after.size()) return no_difference("pairs need as many values on one side as on the other");
  if (auto bad = unfit(before, after, level)) return Unexpected<Absent>(std::move(*bad));
  const auto n = static_cast<double>(before.size());
  const double m1 = mean_of(before), m2 = mean_of(after);
  std::vector<double> apart, relative;
  for (std::size_t i = 0; i < before.size(); ++i) {
    apart.push_back(after[i] - before[i]);
    if (m1 != 0 && m2 != 0) relative.push_back(after[i] / m2 - before[i] / m1);
  }
  Difference out;
  out.paired = true;
  out.standard_error = std::sqrt(variance(apart) / n);
  out.degrees = n - 1;
  finish(out, before, after, relative.empty() ? 0 : std::sqrt(variance(relative) / n), n - 1, level);
  return out;
}

double detectable_standard_errors(double degrees, double level, double power) {
  double low = 0, high = 2;
  while (high < 1e6 && t_test_power(high, degrees, level) < power) high *= 2;
  for (int step = 0; step < 60; ++step) {
    const double middle = (low + high) / 2;
    (t_test_power(middle, degrees, level) < power ? low : high) = middle;
  }
  return high;
}

namespace {

// The smallest n from 2 on that is enough; `enough` holds for all above one that it holds for.
template <class Enough>
Maybe<std::size_t> smallest(const Enough& enough) {
  std::size_t few = 1, many = 2;
  while (!enough(many)) {
    few = many;
    many *= 2;
    if (many > too_many) return no_difference("a million values would not do");
  }
  while (many - few > 1) {
    const std::size_t middle = few + (many - few) / 2;
    (enough(middle) ? many : few) = middle;
  }
  return many;
}

}  // namespace

Maybe<std::size_t> values_for_interval(double cv, double share, double level) {
  if (!(cv >= 0) || !(share > 0)) return no_difference("a spread and a share above 0 are needed");
  return smallest([&](std::size_t count) {
    const auto n = static_cast<double>(count);
    return student_t_quantile((1 + level) / 2, n - 1) * cv / std::sqrt(n) <= share;
  });
}

Maybe<std::size_t> values_for_difference(double cv, double share, bool paired, double level, double power) {
  if (!(cv >= 0) || !(share > 0)) return no_difference("a spread and a share above 0 are needed");
  if (cv == 0) return std::size_t{2};
  return smallest([&](std::size_t count) {
    const auto n = static_cast<double>(count);
    const double error = cv * std::sqrt((paired ? 1 : 2) / n);
    return t_test_power(share / error, paired ? n - 1 : 2 * n - 2, level) >= power;
  });
}

}  // namespace prony::statistics
