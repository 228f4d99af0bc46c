// The step of a reading. Where readings are rounded to whole counts (61.035 µJ told in µJ) changes are multiples of the
// step give or take one count, so a plain greatest common divisor would say 1.
#include <numeric>

#include "passport/parts.hpp"

namespace prony::passport {

namespace {

constexpr std::size_t most_changes = 4096;
constexpr std::size_t least_changes = 12;  // all even by chance: once in 4096
constexpr std::size_t least_distinct = 3;
constexpr double agreeing = 0.95;         // of the changes must fit: a single rubbish reading spoils nothing
constexpr double rounding = 1.01;         // counts by which a change may miss its multiple
constexpr double least_rounded_step = 6;  // below it rounding hides the multiples

double fraction_fitting(const std::vector<double>& changes, double step, double slack) {
  double fitting = 0;
  for (const double change : changes) fitting += std::abs(change - std::round(change / step) * step) <= slack ? 1 : 0;
  return fitting / static_cast<double>(changes.size());
}

// Index of each change relative to the smallest, counted up over the gaps between neighbours, which are few steps wide.
std::optional<double> step_from_gaps(const std::vector<double>& distinct, double near) {
  double index = 0, sum_x = 0, sum_y = 0, sum_xy = 0, sum_xx = 0;
  const auto n = static_cast<double>(distinct.size());
  for (std::size_t i = 0; i < distinct.size(); ++i) {
    if (i > 0) index += std::round((distinct[i] - distinct[i - 1]) / near);
    const double y = distinct[i] - distinct[0];
    sum_x += index;
    sum_y += y;
    sum_xy += index * y;
    sum_xx += index * index;
  }
  const double spread = sum_xx - sum_x * sum_x / n;
  if (spread <= 0) return std::nullopt;
  return (sum_xy - sum_x * sum_y / n) / spread;
}

// Least squares of change = index · step through the origin, from a step that is already near.
double refined(const std::vector<double>& changes, double step) {
  double xy = 0, xx = 0;
  for (const double change : changes) {
    const double index = std::round(change / step);
    xy += index * change;
    xx += index * index;
  }
  return xx > 0 ? xy / xx : step;
}

std::optional<double> rounded_step(const std::vector<double>& changes, std::vector<double> distinct) {
  // The largest are few and far apart, and may be rubbish: a slip there would turn the whole line.
  if (distinct.size() < 2 * least_distinct) return std::nullopt;
  distinct.resize(distinct.size() - distinct.size() / 20);
  std::vector<double> gaps;
  for (std::size_t i = 1; i < distinct.size(); ++i)
    if (distinct[i] - distinct[i - 1] > 2.5) gaps.push_back(distinct[i] - distinct[i - 1]);
  if (gaps.size() < least_distinct) return std::nullopt;
  const double low = quantile(gaps, 0.05);  // not the smallest: that may be rubbish
  std::vector<double> near;
  for (const double gap : gaps)
    if (std::abs(gap - low) <= 2.5) near.push_back(gap);
  const double first = std::accumulate(near.begin(), near.end(), 0.0) / static_cast<double>(near.size());
  if (first < least_rounded_step) return std::nullopt;
  const auto step = step_from_gaps(distinct, first);
  if (!step || *step < least_rounded_step || std::abs(*step - first) > 2) return std::nullopt;
  const double best = refined(changes, *step);
  if (fraction_fitting(changes, best, rounding) < agreeing) return std::nullopt;
  return best;
}

// The largest divisor that nearly all changes share.
double common_divisor(const std::vector<double>& changes, const std::vector<double>& distinct) {
  double best = 1;
  for (std::size_t i = 0; i + 1 < std::min<std::size_t>(distinct.size(), 64); ++i) {
    const auto divisor = static_cast<double>(
        std::gcd(static_cast<std::int64_t>(distinct[i]), static_cast<std::int64_t>(distinct[i + 1])));
    if (divisor > best && fraction_fitting(changes, divisor, 0) >= agreeing) best = divisor;
  }
  return best;
}

}  // namespace

StepFit fit_step(std::span<const Transition> transitions) {
  std::vector<double> changes;
  for (const auto& one : transitions.first(std::min(transitions.size(), most_changes)))
    if (one.counts != 0 && std::abs(one.counts) < 9e15) changes.push_back(std::abs(one.counts));
  auto distinct = changes;
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  if (changes.empty()) return {{}, "no change seen"};
  if (distinct.size() < least_distinct || changes.size() < least_changes)
    return {{},
            "only " + std::to_string(changes.size()) + " changes (" + std::to_string(distinct.size()) +
                " different) seen: their step may be finer"};
  const double exact = common_divisor(changes, distinct);
  if (exact > 1) return {exact, {}};
  if (const auto rounded = rounded_step(changes, distinct)) return {rounded, {}};
  return {1.0, {}};
}

}  // namespace prony::passport
