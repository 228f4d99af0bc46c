#include "attribute/update_clock.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace prony::attribution {

namespace {

constexpr std::uint64_t least_updates = 8;  // a line through fewer intervals is no evidence of a grid
// Sources keep time to a few microseconds at best, and stamps are not exact either.
constexpr double slack_share = 0.02, slack_ns = 1000;
constexpr double root_3 = 1.7320508075688772;

}  // namespace

UpdateClock::Line UpdateClock::through(Dot a, Dot b) {
  const double slope = (b.at - a.at) / (b.k - a.k);
  return {slope, a.at - slope * a.k};
}

bool UpdateClock::place(double k, double earliest, double latest) {
  const double slack = slack_ns + slack_share * (latest - earliest) + jitter_ns_;
  const Dot low{k, earliest - slack}, high{k, latest + slack};
  if (updates_ == 1) {
    steepest_ = through(earliest_hull_.front(), high);
    flattest_ = through(latest_hull_.front(), low);
  } else {
    missed_by_ns_ = std::max(flattest_.at(k) - high.at, low.at - steepest_.at(k));
    if (missed_by_ns_ > 0) return false;
    if (high.at < steepest_.at(k)) {
      const auto bend = std::ranges::min_element(earliest_hull_, {},
                                                 [&](const Dot& dot) { return (high.at - dot.at) / (high.k - dot.k); });
      steepest_ = through(*bend, high);
    }
    if (low.at > flattest_.at(k)) {
      const auto bend = std::ranges::max_element(latest_hull_, {},
                                                 [&](const Dot& dot) { return (low.at - dot.at) / (low.k - dot.k); });
      flattest_ = through(*bend, low);
    }
  }
  // Points that the new one hides from the hull will never touch a line again.
  const auto turn = [](const Dot& a, const Dot& b, const Dot& c) {
    return (b.k - a.k) * (c.at - a.at) - (b.at - a.at) * (c.k - a.k);
  };
  while (earliest_hull_.size() >= 2 && turn(earliest_hull_.end()[-2], earliest_hull_.back(), low) >= 0)
    earliest_hull_.pop_back();
  while (latest_hull_.size() >= 2 && turn(latest_hull_.end()[-2], latest_hull_.back(), high) <= 0)
    latest_hull_.pop_back();
  earliest_hull_.push_back(low);
  latest_hull_.push_back(high);
  last_k_ = k;
  last_middle_ = (earliest + latest) / 2;
  ++updates_;
  return true;
}

void UpdateClock::begin(std::int64_t earliest_ns, std::int64_t latest_ns, double period_ns) {
  origin_ns_ = earliest_ns;
  rough_period_ns_ = period_ns;
  const double width = static_cast<double>(latest_ns - earliest_ns);
  const double slack = slack_ns + slack_share * width + jitter_ns_;
  earliest_hull_ = {{0, -slack}};
  latest_hull_ = {{0, width + slack}};
  last_k_ = 0;
  last_middle_ = width / 2;
  updates_ = 1;
}

bool UpdateClock::add(std::int64_t earliest_ns, std::int64_t latest_ns) {
  const auto earliest = static_cast<double>(earliest_ns - origin_ns_);
  const auto latest = static_cast<double>(latest_ns - origin_ns_);
  const double middle = (earliest + latest) / 2;
  double period = rough_period_ns_;
  double steps = (middle - last_middle_) / period;
  if (updates_ >= least_updates) {
    const double slope = (steepest_.slope + flattest_.slope) / 2;
    steps = (middle - (steepest_.at(last_k_) + flattest_.at(last_k_)) / 2) / slope;
  }
  return place(last_k_ + std::max(1.0, std::round(steps)), earliest, latest);
}

std::optional<UpdateGrid> UpdateClock::grid() const {
  if (updates_ < least_updates) return std::nullopt;
  UpdateGrid grid;
  grid.origin_ns = origin_ns_;
  const double least = std::min(flattest_.slope, steepest_.slope), most = std::max(flattest_.slope, steepest_.slope);
  const bool documented = documented_ns_ >= least && documented_ns_ <= most;
  grid.period_ns = documented ? documented_ns_ : (least + most) / 2;
  grid.period_sigma_ns = documented ? 0 : (most - least) / 2 / root_3;
  double earliest = -std::numeric_limits<double>::infinity(), latest = std::numeric_limits<double>::infinity();
  for (const Dot& dot : earliest_hull_) earliest = std::max(earliest, dot.at - dot.k * grid.period_ns);
  for (const Dot& dot : latest_hull_) latest = std::min(latest, dot.at - dot.k * grid.period_ns);
  grid.phase_ns = (earliest + latest) / 2;
  grid.phase_sigma_ns = std::abs(latest - earliest) / 2 / root_3;
  grid.jitter_ns = jitter_ns_;
  grid.centre_k = last_k_ / 2;
  return grid;
}

}  // namespace prony::attribution
