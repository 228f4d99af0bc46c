// The step of a reading. Where readings are rounded to whole counts (61.035 µJ told in µJ) changes are multiples of the
// step give or take one count, so a plain greatest common divisor would say 1.
#include <numbers>
#include <numeric>

#include "passport/parts.hpp"

namespace prony::passport {

namespace {

constexpr std::size_t most_changes = 4096;
constexpr std::size_t least_changes = 12;  // all even by chance: once in 4096
constexpr std::size_t least_distinct = 3;
constexpr double fitting_share = 0.95;      // of the changes must fit: a single rubbish reading spoils nothing
constexpr double least_rounded_step = 6;    // counts; below it rounding hides the multiples
constexpr std::size_t least_spectrum = 24;  // changes: fewer agree by chance with one of the many steps tried
constexpr std::size_t most_spectrum = 48;
constexpr double widest_spectrum = 60'000;  // counts: wider takes too many steps to try
constexpr double most_zoom = 2000;          // lines between which the changes decide
constexpr double least_agreement = 0.9;

double fraction_fitting(const std::vector<double>& changes, double step, double slack) {
  double fitting = 0;
  for (const double change : changes) fitting += std::abs(change - std::round(change / step) * step) <= slack ? 1 : 0;
  return fitting / static_cast<double>(changes.size());
}

// How well all of `values` are multiples of 1 / `frequency`: 1 for all, near 0 for chance.
double agreement(const std::vector<double>& values, double frequency) {
  double sum = 0;
  for (const double value : values) sum += std::cos(2 * std::numbers::pi * value * frequency);
  return sum / static_cast<double>(values.size());
}

// The frequency with the best agreement from `low` to `high`; where a line stands out, the first one: the others are
// its multiples.
double first_line(const std::vector<double>& values, double low, double high, double fine) {
  double best = 0, at = 0;
  for (double frequency = low; frequency < high; frequency += fine) {
    const double found = agreement(values, frequency);
    if (found > best) {
      best = found;
      at = frequency;
    } else if (best > least_agreement && found < best / 2) {
      break;
    }
  }
  return at;
}

struct Rounded {
  std::optional<double> step;
  bool could_tell = false;  // a step would have shown
};
// Distances between neighbours among the changes are few steps wide, whatever the changes themselves are: there the
// step shows as a line in the spectrum; the changes then say it exactly.
Rounded rounded_step(std::vector<double> distinct) {
  distinct.resize(distinct.size() - distinct.size() / 20);  // the largest may be rubbish
  std::vector<double> gaps;
  double impossible = 0;  // rounding makes 1 of 0, and 5 or 7 of a step of 6, but never 2 or 3, nor 1 twice
  for (std::size_t i = 1; i < distinct.size(); ++i) {
    const double gap = distinct[i] - distinct[i - 1];
    if (gap > 1) gaps.push_back(gap);
    const bool three_in_a_row = gap == 1 && i > 1 && distinct[i - 1] - distinct[i - 2] == 1;
    if (gap == 2 || gap == 3 || three_in_a_row) ++impossible;
  }
  if (impossible >= 4 && impossible >= 0.1 * static_cast<double>(distinct.size())) return {{}, true};
  if (gaps.size() < least_spectrum) return {};
  std::sort(gaps.begin(), gaps.end());
  gaps.resize(std::clamp(gaps.size() / 2, least_spectrum, most_spectrum));
  const double widest = gaps.back();
  if (widest > widest_spectrum) return {};
  const double low = 1 / (gaps[gaps.size() / 20] + 2);  // no step is longer than the shortest distances
  if (low >= 1 / least_rounded_step) return {{}, true};
  const double rough = first_line(gaps, low, 1 / least_rounded_step, 0.1 / widest);
  if (rough <= 0 || agreement(gaps, rough) <= least_agreement) return {{}, true};
  const double reach = 0.15 / widest;
  const double range = std::max(distinct.back(), widest);
  if (reach * range > most_zoom) return {};
  std::vector<double> some;
  for (std::size_t i = 0; i < distinct.size(); i += 1 + distinct.size() / 128) some.push_back(distinct[i]);
  double best = 0, at = rough;
  for (double frequency = rough - reach; frequency < rough + reach; frequency += 0.05 / range) {
    const double found = agreement(some, frequency);
    if (found > best) {
      best = found;
      at = frequency;
    }
  }
  if (best <= least_agreement) return {};
  return {1 / at, true};
}

// The largest divisor that nearly all changes share.
double common_divisor(const std::vector<double>& changes, const std::vector<double>& distinct) {
  double best = 1;
  for (std::size_t i = 0; i + 1 < std::min<std::size_t>(distinct.size(), 64); ++i) {
    const auto divisor = static_cast<double>(
        std::gcd(static_cast<std::int64_t>(distinct[i]), static_cast<std::int64_t>(distinct[i + 1])));
    if (divisor > best && fraction_fitting(changes, divisor, 0) >= fitting_share) best = divisor;
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
  const auto rounded = rounded_step(distinct);
  if (rounded.step) return {rounded.step, {}};
  if (!rounded.could_tell)
    return {{}, std::to_string(distinct.size()) + " different changes, too far apart to tell their step: watch longer"};
  return {1.0, {}};
}

}  // namespace prony::passport
