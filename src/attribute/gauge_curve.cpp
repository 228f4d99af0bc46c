#include "attribute/gauge_curve.hpp"

#include <algorithm>
#include <cmath>

namespace prony::attribution {

namespace {
double seconds(std::int64_t ns) { return static_cast<double>(ns) * 1e-9; }

// How old a reading may be. Where nobody documents it: drivers of hwmon chips keep a value for a second at most.
constexpr std::int64_t undocumented_period_ns = 1'000'000'000;
std::int64_t staleness_ns(const Channel& channel) {
  const auto known = std::max(channel.update_period.ns, channel.averaging_window.ns);
  return known > 0 ? known : undocumented_period_ns;
}
}  // namespace

GaugeCurve::GaugeCurve(const Channel& channel, std::int64_t interval_ns, const Plan* plan)
    : scale_(channel.scale),
      step_(channel.resolution * std::abs(channel.scale)),
      interval_ns_(interval_ns),
      period_ns_(staleness_ns(channel)),
      documented_ns_(channel.update_period.ns),
      instants_(plan) {}

double GaugeCurve::period_s() const {
  const double spacing = readings_ > 1 ? seconds(last_.at - first_at_) / static_cast<double>(readings_ - 1) : 0;
  return std::max({seconds(documented_ns_), seconds(interval_ns_), spacing});
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
    }
    missing_ = false;
    while (!pending_.empty() && pending_.front().to.at + period_ns_ < now.at) {
      finalise(pending_.front());
      pending_.pop_front();
    }
    pending_.push_back({last_, now, gap});
    smallest_ = std::min(smallest_, now.power);
    largest_ = std::max(largest_, now.power);
  }
  while (!falling_.empty() && falling_.back().power <= now.power) falling_.pop_back();
  falling_.push_back(now);
  while (!rising_.empty() && rising_.back().power >= now.power) rising_.pop_back();
  rising_.push_back(now);
  last_ = now;
  last_end_ = seen_end_ = end;
  ++readings_;
}

Point GaugeCurve::inside(const Stretch& stretch, double least, double most, std::int64_t at) const {
  const double whole_s = seconds(stretch.to.at - stretch.from.at);
  const double into_s = std::clamp(seconds(at - stretch.from.at), 0.0, whole_s);
  const double slope = (stretch.to.power - stretch.from.power) / whole_s;
  const double here = stretch.from.power * into_s + slope * into_s * into_s / 2;
  Point point;
  point.value = energy_ + here;
  point.spread_low = spread_low_ + (here - least * into_s);
  point.spread_high = spread_high_ + (most * into_s - here);
  point.edge_width =
      std::max(std::abs(least), std::abs(most)) * std::max({seconds(period_ns_), seconds(interval_ns_), whole_s});
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
      instants_.answer(outside(seconds(at - first_at_)));
    else
      instants_.answer(inside(stretch, least, most, at));
  }
  const Point end = inside(stretch, least, most, stretch.to.at);
  energy_ = end.value;
  spread_low_ = end.spread_low;
  spread_high_ = end.spread_high;
}

// `beyond_s` after the last reading (positive) or before the first (negative): what was drawn there is not in the
// curve.
Point GaugeCurve::outside(double beyond_s) const {
  const double reach = std::max(std::abs(smallest_), std::abs(largest_));
  Point point;
  point.value = beyond_s < 0 ? 0 : energy_;
  point.spread_low = beyond_s < 0 ? 0 : spread_low_;
  point.spread_high = beyond_s < 0 ? 0 : spread_high_;
  (beyond_s < 0 ? point.edge_low : point.edge_high) = reach * std::abs(beyond_s);
  point.edge_width = reach * std::max(period_s(), std::abs(beyond_s));
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
  while (instants_.any_fixed_left() || instants_.next() <= last_end_) {
    const std::int64_t at = instants_.next();
    if (at == never) break;
    instants_.answer(
        outside(at < first_at_ ? seconds(at - first_at_) : seconds(std::max<std::int64_t>(0, at - last_.at))));
  }
  instants_.finish(energy_);
}

Point GaugeCurve::last_point() const {
  Point point;
  point.value = energy_;
  point.spread_low = spread_low_;
  point.spread_high = spread_high_;
  return point;
}

}  // namespace prony::attribution
