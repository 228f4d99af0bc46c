#include "attribute/update_clock.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "attribute/even_spread.hpp"

namespace prony::attribution {

namespace {

constexpr std::uint64_t least_updates = 8;  // a line through fewer intervals is no evidence of a grid
// Sources keep time to a few microseconds at best, and stamps are not exact either.
constexpr double slack_share = 0.02, slack_ns = 1000;
constexpr int slices = 64;
constexpr double learned_reach = 4;  // standard deviations

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
  widths_ += latest - earliest;
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
  widths_ = width;
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

// When update k can have been if updates come `period` apart; from > to: never.
UpdateClock::Range UpdateClock::phases(double period, double k) const {
  Range range{-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  for (const Dot& dot : earliest_hull_) range.from = std::max(range.from, dot.at - (dot.k - k) * period);
  for (const Dot& dot : latest_hull_) range.to = std::min(range.to, dot.at - (dot.k - k) * period);
  return range;
}

// Every pair of period and phase whose line goes through all intervals is as likely as any other, but for what was
// learned of the period before: mean and deviations of them all, the period cut into slices.
void UpdateClock::fit(double least, double most, const LearnedPeriod* believed, UpdateGrid& grid) const {
  const auto weight = [&](double period) {
    const double off = believed != nullptr ? (period - believed->mean_ns) / believed->sigma_ns : 0;
    return std::exp(-off * off / 2);
  };
  const double middle_k = last_k_ / 2, start = (least + most) / 2, slice = (most - least) / slices;
  double sum = 0, period = 0, at = 0, periods = 0, ats = 0, both = 0;
  for (int i = 0; i < slices; ++i) {
    const double off = (i + 0.5) * slice + least - start;
    const Range range = phases(start + off, middle_k);
    const double width = range.to - range.from, middle = (range.from + range.to) / 2;
    if (!(width > 0)) continue;
    const double share = width * weight(start + off);
    sum += share;
    period += share * off;
    at += share * middle;
    periods += share * (off * off + slice * slice / 12);
    ats += share * (middle * middle + width * width / 12);
    both += share * off * middle;
  }
  if (!(sum > 0)) {  // one line and no other
    const Range range = phases(start, middle_k);
    grid.period_ns = start;
    grid.phase_ns = (range.from + range.to) / 2 - middle_k * start;
    grid.centre_k = middle_k;
    grid.period_sigma_ns = (most - least) / 2 / root_3;
    grid.phase_sigma_ns = std::abs(range.to - range.from) / 2 / root_3;
    return;
  }
  period /= sum;
  at /= sum;
  const double variance = std::max(periods / sum - period * period, slice * slice / 12);
  const double shared = both / sum - period * at;
  grid.period_ns = start + period;
  grid.period_sigma_ns = std::sqrt(variance);
  grid.phase_ns = at - middle_k * grid.period_ns;
  grid.centre_k = variance > 0 ? middle_k - shared / variance : middle_k;
  grid.phase_sigma_ns = std::sqrt(std::max(0.0, ats / sum - at * at - (variance > 0 ? shared * shared / variance : 0)));
}

std::optional<UpdateGrid> UpdateClock::grid() const {
  if (updates_ < least_updates) return std::nullopt;
  UpdateGrid grid;
  grid.origin_ns = origin_ns_;
  grid.jitter_ns = jitter_ns_;
  double least = std::min(flattest_.slope, steepest_.slope), most = std::max(flattest_.slope, steepest_.slope);
  if (documented_ns_ >= least && documented_ns_ <= most) {
    const Range range = phases(documented_ns_, 0);
    grid.period_ns = documented_ns_;
    grid.phase_ns = (range.from + range.to) / 2;
    grid.phase_sigma_ns = std::abs(range.to - range.from) / 2 / root_3;
    grid.centre_k = last_k_ / 2;
    return grid;
  }
  const LearnedPeriod* believed = nullptr;
  if (learned_ && learned_->sigma_ns > 0) {
    const double reach = learned_reach * learned_->sigma_ns;
    const double from = std::max(least, learned_->mean_ns - reach), to = std::min(most, learned_->mean_ns + reach);
    if (from < to) {  // else it has changed since
      believed = &*learned_;
      least = from;
      most = to;
    }
  }
  fit(least, most, believed, grid);
  return grid;
}

}  // namespace prony::attribution
