#include "calibrate/align.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "base/text.hpp"

namespace prony::calibrate {

namespace {

constexpr std::size_t least_points = 20, coarse_points = 3000, most_points = 40'000;
constexpr double least_correlation = 0.6;
// The variance that the next best offset leaves must be so much larger.
constexpr double least_ratio = 1.5;
constexpr double finest_step_s = 0.02;

// Means over cells of a grid; not finite where nothing was seen near.
struct Grid {
  double begin_s = 0, step_s = 0;
  std::vector<double> value;
};

double spacing(const PowerSeries& series) {
  std::vector<double> gaps;
  for (std::size_t i = 1; i < series.at_s.size(); ++i) gaps.push_back(series.at_s[i] - series.at_s[i - 1]);
  const auto middle = gaps.begin() + static_cast<std::ptrdiff_t>(gaps.size() / 2);
  std::nth_element(gaps.begin(), middle, gaps.end());
  return std::max(1e-6, *middle);
}

Grid gridded(const PowerSeries& series, double step_s, double shift_s) {
  Grid grid{std::floor((series.at_s.front() + shift_s) / step_s) * step_s, step_s, {}};
  const auto cells = static_cast<std::size_t>((series.at_s.back() + shift_s - grid.begin_s) / step_s) + 1;
  std::vector<double> sum(cells), count(cells);
  for (std::size_t i = 0; i < series.at_s.size(); ++i) {
    const auto cell = std::min(cells - 1, static_cast<std::size_t>((series.at_s[i] + shift_s - grid.begin_s) / step_s));
    sum[cell] += series.value[i];
    count[cell] += 1;
  }
  grid.value.assign(cells, std::numeric_limits<double>::quiet_NaN());
  for (std::size_t i = 0; i < cells; ++i)
    if (count[i] > 0) grid.value[i] = sum[i] / count[i];
  // One empty cell between two full ones is between their values.
  for (std::size_t i = 1; i + 1 < cells; ++i)
    if (count[i] == 0 && count[i - 1] > 0 && count[i + 1] > 0)
      grid.value[i] = (grid.value[i - 1] + grid.value[i + 1]) / 2;
  return grid;
}

// Of the cells that both have, the meter's shifted by `lag` cells.
struct Match {
  double correlation = -1, slope = 0, residual = 0, follows = 0, steepness = 0;
  std::size_t points = 0;
};

Match match(const Grid& seen, const Grid& meter, std::int64_t lag, bool whole) {
  const auto ratio = (meter.begin_s - seen.begin_s) / seen.step_s;
  const std::int64_t shift = std::llround(ratio) + lag;  // meter cell i lies at seen cell i + shift
  const auto from = std::max<std::int64_t>(0, -shift);
  const auto to = std::min<std::int64_t>(static_cast<std::int64_t>(meter.value.size()),
                                         static_cast<std::int64_t>(seen.value.size()) - shift);
  double n = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;
  for (std::int64_t i = from; i < to; ++i) {
    const double a = seen.value[static_cast<std::size_t>(i + shift)], b = meter.value[static_cast<std::size_t>(i)];
    if (!std::isfinite(a) || !std::isfinite(b)) continue;
    n += 1, x += a, y += b, xx += a * a, yy += b * b, xy += a * b;
  }
  Match found;
  found.points = static_cast<std::size_t>(n);
  if (n < static_cast<double>(least_points)) return found;
  const double vx = xx - x * x / n, vy = yy - y * y / n, vxy = xy - x * y / n;
  if (vx <= 1e-12 * xx || vy <= 1e-12 * yy) return found;
  found.correlation = vxy / std::sqrt(vx * vy);
  if (!whole) return found;
  found.slope = vxy / vx;
  const double level = y / n - found.slope * x / n;
  double squares = 0, neighbours = 0, steps = 0, last = 0, last_seen = 0, count = 0;
  for (std::int64_t i = from; i < to; ++i) {
    const double a = seen.value[static_cast<std::size_t>(i + shift)], b = meter.value[static_cast<std::size_t>(i)];
    if (!std::isfinite(a) || !std::isfinite(b)) continue;
    const double left = b - level - found.slope * a;
    squares += left * left;
    if (count > 0) neighbours += left * last, steps += (a - last_seen) * (a - last_seen);
    last = left, last_seen = a, count += 1;
  }
  found.residual = std::sqrt(squares / n);
  found.follows = squares > 0 ? std::clamp(neighbours / squares, 0.0, 0.95) : 0;
  found.steepness = std::abs(found.slope) * std::sqrt(steps) / seen.step_s;
  return found;
}

struct Search {
  std::int64_t best = 0;
  double correlation = -1, next = -1;
};

// The best lag, and the best of those that are not on its own hill: beyond where the correlation has fallen half way.
std::optional<Search> search(const Grid& seen, const Grid& meter, std::int64_t from, std::int64_t to,
                             std::size_t least_overlap) {
  std::vector<double> all;
  Search found;
  for (std::int64_t lag = from; lag <= to; ++lag) {
    const Match one = match(seen, meter, lag, false);
    all.push_back(one.points >= least_overlap ? one.correlation : -1);
    if (all.back() > found.correlation) found.correlation = all.back(), found.best = lag;
  }
  if (found.correlation < 0) return std::nullopt;
  std::vector<double> sorted = all;
  std::erase_if(sorted, [](double r) { return r <= -1; });
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  const double half = (found.correlation + std::min(*middle, found.correlation)) / 2;
  const auto at = static_cast<std::size_t>(found.best - from);
  std::size_t left = at, right = at;
  while (left > 0 && all[left] > half) --left;
  while (right + 1 < all.size() && all[right] > half) ++right;
  const std::size_t reach = 2 * std::max(at - left, right - at);
  for (std::size_t i = 0; i < all.size(); ++i)
    if (i + reach < at || i > at + reach) found.next = std::max(found.next, all[i]);
  return found;
}

// What was seen, added up: so that its mean over any stretch of time can be told.
class Climb {
 public:
  explicit Climb(const PowerSeries& seen) {
    double sum = 0;
    for (std::size_t i = 0; i < seen.at_s.size(); ++i) {
      if (i > 0) sum += (seen.at_s[i] - seen.at_s[i - 1]) * (seen.value[i] + seen.value[i - 1]) / 2;
      sum_.push_back(sum);
    }
    at_s_ = &seen.at_s;
  }
  // Not finite where nothing was seen.
  double mean(double from_s, double to_s) const {
    if (from_s < at_s_->front() || to_s > at_s_->back()) return std::numeric_limits<double>::quiet_NaN();
    return (up_to(to_s) - up_to(from_s)) / (to_s - from_s);
  }

 private:
  double up_to(double t) const {
    const auto after = std::upper_bound(at_s_->begin(), at_s_->end(), t);
    if (after == at_s_->end()) return sum_.back();
    const auto i = static_cast<std::size_t>(after - at_s_->begin());
    return sum_[i - 1] + (sum_[i] - sum_[i - 1]) * (t - (*at_s_)[i - 1]) / ((*at_s_)[i] - (*at_s_)[i - 1]);
  }
  const std::vector<double>* at_s_;
  std::vector<double> sum_;
};

struct Fine {
  double offset_s = 0;
  Match told;
};

// The offset to a part of a cell. A grid knows of a reading only in which cell it lies: up to a whole cell may be
// between two that share one. Here each reading of the meter is held against what was seen in its own stretch of time.
Fine refined(const PowerSeries& seen, const PowerSeries& meter, double near_s, double fine_s) {
  constexpr int parts = 16, reach = 3 * parts / 2;
  const double width_s = spacing(meter), step_s = fine_s / parts;
  const Climb climb(seen);
  Grid mine{0, width_s, std::vector<double>(meter.value.size())};
  const Grid its{0, width_s, meter.value};
  const auto told_at = [&](double offset_s, bool whole) {
    for (std::size_t i = 0; i < meter.at_s.size(); ++i) {
      const double at_s = meter.at_s[i] + offset_s;
      mine.value[i] = climb.mean(at_s - width_s / 2, at_s + width_s / 2);
    }
    return match(mine, its, 0, whole);
  };
  std::vector<double> all;
  for (int i = -reach; i <= reach; ++i) all.push_back(told_at(near_s + i * step_s, false).correlation);
  const auto best = static_cast<std::size_t>(std::max_element(all.begin(), all.end()) - all.begin());
  double part = 0;  // the top of a parabola through the best and its neighbours
  if (best > 0 && best + 1 < all.size()) {
    const double bend = all[best - 1] - 2 * all[best] + all[best + 1];
    if (bend < 0) part = std::clamp((all[best - 1] - all[best + 1]) / (2 * bend), -0.5, 0.5);
  }
  const double offset_s = near_s + (static_cast<double>(best) - reach + part) * step_s;
  return {offset_s, told_at(offset_s, true)};
}

Unexpected<Error> not_unique(const Search& found) {
  const std::string r = format_fixed(found.correlation, 2), next = format_fixed(std::max(0.0, found.next), 2);
  return fail(
      ErrorCode::malformed,
      "no offset of the meter's clock stands out: the best correlates by " + r + ", another by " + next, {},
      "Take a load that does not repeat itself and that the meter can follow, such as `prony calibrate` makes;\n"
      "or narrow the search (--within 2s), or name the offset if both clocks are one (--offset 0s).");
}

}  // namespace

Result<Alignment> align(const PowerSeries& seen, const PowerSeries& meter, const AlignOptions& options) {
  if (seen.at_s.size() < least_points || meter.at_s.size() < least_points)
    return fail(ErrorCode::usage,
                "too little to go by: " + std::to_string(seen.at_s.size()) + " readings of the Run, " +
                    std::to_string(meter.at_s.size()) + " of the meter",
                {}, "It takes twenty of each.");
  const double length_s = std::min(seen.at_s.back() - seen.at_s.front(), meter.at_s.back() - meter.at_s.front());
  const double long_s = std::max(seen.at_s.back() - seen.at_s.front(), meter.at_s.back() - meter.at_s.front());
  const double natural_s = std::max({spacing(seen), spacing(meter), finest_step_s});
  const double fine_s = std::max(natural_s, long_s / static_cast<double>(most_points));
  const double coarse_s = std::max(fine_s, (long_s + 2 * options.within_s) / static_cast<double>(coarse_points));
  const auto overlap_of = [&](double step_s) {
    return std::max(least_points, static_cast<std::size_t>(0.5 * length_s / step_s));
  };
  const Grid coarse_seen = gridded(seen, coarse_s, 0), coarse_meter = gridded(meter, coarse_s, options.guess_s);
  const auto reach = static_cast<std::int64_t>(std::ceil(options.within_s / coarse_s));
  const auto coarse = search(coarse_seen, coarse_meter, -reach, reach, overlap_of(coarse_s));
  if (!coarse)
    return fail(ErrorCode::malformed, "the meter and the Run saw too little at one time, or nothing that changed", {},
                "The meter must have run during the Run; if its clock is far off, widen the search:  --within 1h");
  const double near_s = options.guess_s + static_cast<double>(coarse->best) * coarse_s;
  const Grid fine_seen = gridded(seen, fine_s, 0), fine_meter = gridded(meter, fine_s, near_s);
  const auto around = static_cast<std::int64_t>(std::ceil(2 * coarse_s / fine_s));
  const auto fine = search(fine_seen, fine_meter, -around, around, overlap_of(fine_s));
  if (!fine) return not_unique(*coarse);
  Search both{fine->best, fine->correlation, coarse->next};
  const bool unique =
      both.correlation >= least_correlation &&
      1 - std::pow(std::max(0.0, both.next), 2) >= least_ratio * (1 - both.correlation * both.correlation);
  if (!unique) return not_unique(both);
  // Where a cell of one grid lies in a cell of the other is not known better than to a rounding.
  const double apart_s = fine_meter.begin_s - fine_seen.begin_s;
  const double rounding_s = apart_s - std::round(apart_s / fine_s) * fine_s;
  const double cell_s = near_s - rounding_s + static_cast<double>(fine->best) * fine_s;
  const auto [offset_s, told] = refined(seen, meter, cell_s, fine_s);
  Alignment result;
  result.offset_s = offset_s;
  const double widened = std::sqrt((1 + told.follows) / (1 - told.follows));
  const double sigma_s = told.steepness > 0 ? told.residual * widened / told.steepness : fine_s;
  // A meter does not tell whether its stamp is of the beginning, the middle or the end of what it averaged.
  result.doubt_s = 2 * std::sqrt(sigma_s * sigma_s + fine_s * fine_s / 12);
  result.correlation = both.correlation, result.next_correlation = std::max(0.0, both.next);
  result.residual_w = told.residual;
  result.overlap_s = static_cast<double>(told.points) * spacing(meter);
  return result;
}

}  // namespace prony::calibrate
