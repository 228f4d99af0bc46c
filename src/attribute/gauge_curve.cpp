#include "attribute/gauge_curve.hpp"

#include <algorithm>
#include <cmath>

namespace prony::attribution {

namespace {
// How old a reading may be. Where nobody documents it: drivers of hwmon chips keep a value for a second at most.
constexpr std::int64_t undocumented_period_ns = 1'000'000'000;
std::int64_t staleness_ns(const Channel& channel) {
  const auto known = std::max(channel.update_period.ns, channel.averaging_window.ns);
  return known > 0 ? known : undocumented_period_ns;
}

constexpr std::int64_t looks_in_window = 4;  // fewer do not show how a mean moves
std::int64_t window_of(const Channel& channel, std::int64_t interval_ns) {
  const std::int64_t window_ns = channel.averaging_window.ns;
  const std::int64_t longest_ns = std::max(channel.update_period.ns, interval_ns);
  return window_ns >= looks_in_window * std::max<std::int64_t>(longest_ns, 1) ? window_ns : 0;
}
}  // namespace

GaugeCurve::GaugeCurve(const Channel& channel, std::int64_t interval_ns, const Plan* plan)
    : scale_(channel.scale),
      step_(channel.resolution * std::abs(channel.scale)),
      interval_ns_(interval_ns),
      period_ns_(staleness_ns(channel)),
      documented_ns_(channel.update_period.ns),
      instants_(plan),
      window_ns_(window_of(channel, interval_ns)) {}

double GaugeCurve::period_s() const {
  const double spacing = readings_ > 1 ? seconds_of(last_.at - first_at_) / static_cast<double>(readings_ - 1) : 0;
  return std::max({seconds_of(documented_ns_), seconds_of(interval_ns_), spacing});
}

void GaugeCurve::poll(std::int64_t begin, std::int64_t end, std::int64_t raw) {
  const At now{begin + (end - begin) / 2, static_cast<double>(raw) * scale_};
  if (!have_) {
    have_ = true;
    if (missing_) {
      ++gaps_;
      gap_ns_ += begin - last_end_;
    }
    missing_ = false;
    first_begin_ = begin;
    first_at_ = now.at;
    smallest_ = largest_ = now.power;
    instants_.start(now.at);
  } else {
    if (now.at <= last_.at) return;  // a second reading of the same moment adds nothing
    const bool gap = missing_ || (interval_ns_ > 0 && begin - last_end_ > 2 * interval_ns_);
    if (gap) {
      ++gaps_;
      gap_ns_ += begin - last_end_;
      held_.interrupt();
    }
    missing_ = false;
    while (!pending_.empty() && pending_.front().to.at + period_ns_ < now.at) {
      finalise(pending_.front());
      pending_.pop_front();
    }
    pending_.push_back({last_, now, gap});
    seen_j_ += (last_.power + now.power) / 2 * seconds_of(now.at - last_.at);
    smallest_ = std::min(smallest_, now.power);
    largest_ = std::max(largest_, now.power);
  }
  if (window_ns_ > 0) add_to_means(now);
  while (!falling_.empty() && falling_.back().power <= now.power) falling_.pop_back();
  falling_.push_back(now);
  while (!rising_.empty() && rising_.back().power >= now.power) rising_.pop_back();
  rising_.push_back(now);
  held_.add(now.at, now.power);
  last_ = now;
  last_end_ = seen_end_ = end;
  ++readings_;
}

Point GaugeCurve::inside(const Stretch& stretch, double least, double most, std::int64_t at) const {
  const double whole_s = seconds_of(stretch.to.at - stretch.from.at);
  const double into_s = std::clamp(seconds_of(at - stretch.from.at), 0.0, whole_s);
  const double slope = (stretch.to.power - stretch.from.power) / whole_s;
  const double here = stretch.from.power * into_s + slope * into_s * into_s / 2;
  Point point;
  point.value = energy_ + here;
  point.spread_low = spread_low_ + (here - least * into_s);
  point.spread_high = spread_high_ + (most * into_s - here);
  point.edge_width =
      std::max(std::abs(least), std::abs(most)) * std::max({seconds_of(period_ns_), seconds_of(interval_ns_), whole_s});
  return point;
}

void GaugeCurve::finalise(const Stretch& stretch) {
  while (!falling_.empty() && falling_.front().at < stretch.from.at - period_ns_) falling_.pop_front();
  while (!rising_.empty() && rising_.front().at < stretch.from.at - period_ns_) rising_.pop_front();
  double least = rising_.front().power - step_;
  double most = falling_.front().power + step_;
  if (stretch.gap) {  // nobody looked: anything from nothing to the largest ever seen
    least = std::min({0.0, least, smallest_});
    most = std::max(most, largest_ + step_);
  }
  while (instants_.next() <= stretch.to.at) {
    const std::int64_t at = instants_.next();
    if (at < first_at_)
      answer(outside(seconds_of(at - first_at_)), window_ns_ > 0);
    else
      answer(inside(stretch, least, most, at), window_ns_ > 0);
  }
  const Point end = inside(stretch, least, most, stretch.to.at);
  energy_ = end.value;
  spread_low_ = end.spread_low;
  spread_high_ = end.spread_high;
}

// A hole of a quarter of the window hides how the means moved: what follows is a segment of its own. What gives energy
// back is no such source.
void GaugeCurve::add_to_means(const At& now) {
  constexpr std::size_t most_segments = 4;  // those that instants may still wait for
  if (now.power < 0) {
    window_ns_ = 0;
    segments_.clear();
    later_.clear();
    return;
  }
  if (segments_.empty() || now.at - segments_.back().mean.end() > window_ns_ / looks_in_window)
    segments_.push_back({MovingMean(window_ns_, documented_ns_, step_), ++segment_number_, seen_j_});
  segments_.back().mean.add(now.at, now.power);
  revise(false);
  while (segments_.size() > most_segments) segments_.pop_front();
}

void GaugeCurve::answer(const Point& point, bool of_means) {
  if (of_means) later_.push_back({instants_.next(), instants_.next_fixed_index(), instants_.next_grid_index(), point});
  instants_.answer(point);
}

// Gives the instants of which all is known that will be, or all that wait, the values that the means tell.
void GaugeCurve::revise(bool all) {
  const auto settled = [&](const Segment& segment, std::int64_t at_ns) {
    return all || segments_.size() > 1 || segment.mean.end() >= at_ns + segment.mean.reach();
  };
  if (!first_told_ && settled(segments_.front(), first_at_)) {
    (void)refine(first_point_, segments_.front(), first_at_);
    first_told_ = true;
  }
  while (!later_.empty()) {
    Later& one = later_.front();
    while (segments_.size() > 1 && segments_.front().mean.end() < one.at_ns) segments_.pop_front();
    const Segment& segment = segments_.front();
    if (!settled(segment, std::max(one.at_ns, first_at_))) return;
    if (refine(one.point, segment, std::max(one.at_ns, first_at_))) {
      if (one.fixed) instants_.revise(*one.fixed, one.point);
      if (one.grid) instants_.revise_grid(*one.grid, one.point.value);
    }
    later_.pop_front();
  }
}

bool GaugeCurve::refine(Point& point, const Segment& segment, std::int64_t at_ns) const {
  if (at_ns < segment.mean.begin() || at_ns > segment.mean.end()) return false;  // in a hole
  const auto told = segment.mean.energy(at_ns);
  if (!told) return false;
  const double before_j = segment.before_j + segment.mean.joules_before();
  point.value = before_j + told->value_j;
  point.sigma = told->sigma_j;
  point.least = before_j + told->low_j;
  point.most = before_j + told->high_j;
  point.rate = told->watts;
  point.phase_sigma_s = segment.mean.time_sigma_s();
  point.averaged = true;
  point.segment = segment.number;
  point.edge_width = std::min(told->high_j - told->low_j, 4 * told->sigma_j) + point.edge_low + point.edge_high;
  return true;
}

// `beyond_s` after the last reading (positive) or before the first (negative): what was drawn there is not in the
// curve.
Point GaugeCurve::outside(double beyond_s) const {
  const double reach = std::max(std::abs(smallest_), std::abs(largest_));
  Point point = beyond_s < 0 ? first_point_ : last_point_;
  (beyond_s < 0 ? point.edge_low : point.edge_high) = reach * std::abs(beyond_s);
  point.edge_width =
      point.averaged ? point.edge_width + reach * std::abs(beyond_s) : reach * std::max(period_s(), std::abs(beyond_s));
  return point;
}

void GaugeCurve::close() {
  if (!have_) return;
  for (const Stretch& stretch : pending_) finalise(stretch);
  pending_.clear();
  if (missing_ && seen_end_ > last_end_) {
    ++gaps_;
    gap_ns_ += seen_end_ - last_end_;
  }
  last_point_.value = energy_;
  last_point_.spread_low = spread_low_;
  last_point_.spread_high = spread_high_;
  if (window_ns_ > 0) {
    revise(true);
    (void)refine(last_point_, segments_.back(), last_.at);
  }
  while (instants_.any_fixed_left() || instants_.next() <= last_end_) {
    const std::int64_t at = instants_.next();
    if (at == never) break;
    instants_.answer(
        outside(at < first_at_ ? seconds_of(at - first_at_) : seconds_of(std::max<std::int64_t>(0, at - last_.at))));
  }
  instants_.finish(last_point_.value);
}

}  // namespace prony::attribution
