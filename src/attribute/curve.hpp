// One channel's closed curve, whatever it was folded from, in its own unit: J for energy (a modelled channel's busy
// time is turned into joules here), seconds for CPU time. Thread promise: plain value, read only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "attribute/state.hpp"

namespace prony::attribution {

// What is known of a channel between two instants.
struct Measured {
  Estimate estimate;
  std::optional<Estimate> interval;  // of a bound: where the truth is in 95 % of cases
  double edge_half = 0;              // half of the doubt that the two edges bring
  bool known = true;                 // false: nothing bounds it
  [[nodiscard]] bool resolvable() const {
    return known && edge_half <= largest_edge_share * (estimate.value < 0 ? -estimate.value : estimate.value);
  }
};

class Curve {
 public:
  Curve(const Fold& fold, const Attribution::State& state);  // copies the fold's curve and closes the copy
  Curve(Fold&& fold, const Attribution::State& state);       // closes the fold's own, which is gone then

  [[nodiscard]] const Channel& channel() const noexcept { return *channel_; }
  [[nodiscard]] bool any() const noexcept;
  [[nodiscard]] bool is_counter() const noexcept { return counter_.has_value(); }
  [[nodiscard]] const CounterCurve* counter() const noexcept { return counter_ ? &*counter_ : nullptr; }
  [[nodiscard]] std::uint64_t gaps() const { return counter_ ? counter_->gaps() : gauge_->gaps(); }
  [[nodiscard]] std::int64_t gap_ns() const { return counter_ ? counter_->gap_ns() : gauge_->gap_ns(); }
  // How long a gauge stood still although it moves else; 0: it did not.
  [[nodiscard]] std::int64_t held_ns() const { return gauge_ ? gauge_->held_ns() : 0; }
  [[nodiscard]] double period_s() const { return counter_ ? counter_->period_s() : gauge_->period_s(); }
  // How often something new can be seen of it: its period, or how often it is read.
  [[nodiscard]] double seen_every_s() const { return std::max(period_s(), read_every_s_); }
  [[nodiscard]] std::int64_t first_ns() const { return counter_ ? counter_->first_begin() : gauge_->first_begin(); }
  [[nodiscard]] std::int64_t last_ns() const { return counter_ ? counter_->last_end() : gauge_->last_end(); }

  // Of a modelled channel: the factor on its load's part; absent: no clock says more than the model's own figures do.
  [[nodiscard]] const std::optional<ModelClock>& clock() const noexcept { return clock_; }

  // False: a power gauge read zero or less at least once.
  [[nodiscard]] bool always_positive() const { return counter_ || gauge_->smallest_power() > 0; }
  // What it counts can only grow: a counter, or a gauge that never read less than zero.
  [[nodiscard]] bool never_negative() const { return counter_ || gauge_->smallest_power() >= 0; }
  [[nodiscard]] double total() const;                      // last − first
  [[nodiscard]] double at_fixed(std::size_t index) const;  // at plan.fixed[index]
  [[nodiscard]] double at_grid(std::int64_t ns) const;
  [[nodiscard]] double at(std::int64_t ns) const;  // a fixed instant, a grid instant, or one outside the readings

  // A modelled channel's own curve: the busy time, in seconds of CPU, up to a fixed or a grid instant.
  [[nodiscard]] double busy_at(std::int64_t ns) const { return own_at(ns); }

  // Nothing will be asked any more of its instants between the window's edges and the grid.
  void forget_fixed() { counter_ ? counter_->forget_fixed() : gauge_->forget_fixed(); }

  [[nodiscard]] Measured between_fixed(std::int64_t begin, std::int64_t end) const;
  [[nodiscard]] Measured whole() const;
  [[nodiscard]] Measured between(Interval interval, bool fixed) const {
    return fixed ? between_fixed(interval.begin.ns, interval.end.ns) : whole();
  }

 private:
  void close(const Attribution::State& state);
  [[nodiscard]] const Instants& instants() const { return counter_ ? counter_->instants() : gauge_->instants(); }
  [[nodiscard]] double own_at(std::int64_t ns) const;  // as at(), in the channel's own unit
  void take_clock(const Attribution::State& state);
  [[nodiscard]] double joules(double own, std::int64_t ns) const;
  [[nodiscard]] static Estimate interval_of(const Point& a, const Point& b, const Estimate& bound);
  [[nodiscard]] Measured by_means(const Point& a, const Point& b, double length_s) const;
  [[nodiscard]] Measured measure(const Point& a, const Point& b, double length_s) const;
  [[nodiscard]] Measured modelled(const Measured& busy, double length_s) const;

  const Channel* channel_;
  const Plan* plan_;
  std::optional<CounterCurve> counter_;
  std::optional<GaugeCurve> gauge_;
  double read_every_s_ = 0;
  std::optional<ModelClock> clock_;
  Watts load_low_, load_, load_high_;  // of a modelled channel: what full load adds to idle, clock and all
};

}  // namespace prony::attribution
