// The instants at which every channel's cumulative curve must be known, and what is known there. Known up front: the
// edges of spans and of the window (fixed); generated on the fly: a grid on the monotonic clock, aligned to multiples
// of its step, so that neither block sizes nor the order of groups can move it. Units: ns; values in the channel's own
// unit. Thread promise: plain data, one owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace prony::attribution {

inline constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

struct Plan {
  std::vector<std::int64_t> fixed;  // ascending, unique
  std::int64_t step_ns = 100'000'000;
  // Grid points outside first…last are of no interest (the window is known); without a run span everything is.
  std::int64_t grid_begin_ns = std::numeric_limits<std::int64_t>::min();
  std::int64_t grid_end_ns = never;

  [[nodiscard]] std::size_t index_of(std::int64_t ns) const;  // of a fixed instant; it must be one
};

// A cumulative curve at one instant. Between two instants a and b:
//   value = b.value − a.value
//   low   = value − (b.edge_low + a.edge_high) − (b.spread_low − a.spread_low)
//   high  = value + (b.edge_high + a.edge_low) + (b.spread_high − a.spread_high)
// edge_* is what is not known of this very instant; spread_* is what has accumulated of doubt up to it.
struct Point {
  double value = 0;
  double edge_low = 0, edge_high = 0;
  double spread_low = 0, spread_high = 0;
  // For the interval: the standard deviation of `value` from what this edge alone leaves open; and, where the updates'
  // grid is known, what an error of it costs, which edges on the same grid share.
  double sigma = 0;
  bool timed = false;
  std::size_t segment = 0;
  double rate = 0;            // unit per second at the edge
  double phase_sigma_s = 0;   // of the grid's phase
  double period_error_s = 0;  // one standard deviation of the period moves this edge by so much
  double edge_width = 0;      // for "resolvable": the doubt that the edge alone brings
  bool strict = false;        // low and high cannot be wrong
  // Of power that is a mean over a window: the value is what the means around it tell, with `sigma`, and is not below
  // `least` nor above `most`; edges of one segment share what its beginning leaves open, and phase_sigma_s.
  bool averaged = false;
  double least = 0, most = 0;
  bool known = true;  // false: nothing bounds it (a counter that never moved and has no largest rate)
};

// Many points: by column, of which those that are nothing but 0 take no room. Of very many requests the edges' points
// are most of what attribution holds.
class Points {
 public:
  void expect(std::size_t count) { expected_ = count; }
  [[nodiscard]] std::size_t size() const noexcept { return flags_.size(); }
  void push_back(const Point& point);
  void set(std::size_t index, const Point& point);
  [[nodiscard]] Point operator[](std::size_t index) const;
  [[nodiscard]] double value(std::size_t index) const { return value_.empty() ? 0 : value_[index]; }

 private:
  using Column = std::vector<double>;  // as long as the points, or empty
  std::size_t expected_ = 0;
  std::vector<std::uint8_t> flags_;
  Column value_, edge_low_, edge_high_, spread_low_, spread_high_, sigma_, rate_, phase_sigma_s_, period_error_s_,
      edge_width_, least_, most_;
  std::vector<std::size_t> segment_;
};

// The pending instants of one channel and the answers so far.
class Instants {
 public:
  explicit Instants(const Plan* plan) : plan_(plan) { points_.expect(plan->fixed.size()); }

  // The earliest instant that waits for an answer; `never` if none. start() opens the grid at the first reading.
  [[nodiscard]] std::int64_t next() const noexcept { return next_; }
  void start(std::int64_t first_ns);
  void answer(const Point& point);  // for next(), then moves on

  // Index of the fixed instant that answer() will answer next, if next() is one.
  [[nodiscard]] std::optional<std::size_t> next_fixed_index() const noexcept {
    return next_fixed() == next_ && next_ != never ? std::optional(points_.size()) : std::nullopt;
  }
  void revise(std::size_t index, const Point& point) { points_.set(index, point); }
  // The same of the grid's instants.
  [[nodiscard]] std::optional<std::size_t> next_grid_index() const noexcept {
    return next_grid_ns_ == next_ && next_ != never ? std::optional(grid_.size()) : std::nullopt;
  }
  void revise_grid(std::size_t index, double value) { grid_[index] = value; }
  [[nodiscard]] Point fixed(std::size_t index) const { return points_[index]; }
  [[nodiscard]] double fixed_value(std::size_t index) const { return points_.value(index); }
  [[nodiscard]] std::int64_t fixed_ns(std::size_t index) const { return plan_->fixed[index]; }
  [[nodiscard]] const Plan& plan() const noexcept { return *plan_; }
  [[nodiscard]] bool any_fixed_left() const noexcept { return points_.size() < plan_->fixed.size(); }
  // Value at a grid instant: 0 before the first reading, what finish() said after the last.
  [[nodiscard]] double grid(std::int64_t ns) const;
  void finish(double final_value) { final_value_ = final_value; }
  void forget() { points_ = Points(); }  // the fixed ones: nobody will ask for them any more

 private:
  [[nodiscard]] std::int64_t next_fixed() const noexcept {
    return points_.size() < plan_->fixed.size() ? plan_->fixed[points_.size()] : never;
  }
  void update();

  const Plan* plan_;
  Points points_;  // of plan_->fixed, in order
  std::vector<double> grid_;
  std::int64_t grid_first_ns_ = never;
  std::int64_t next_grid_ns_ = never;
  std::int64_t next_ = never;
  double final_value_ = 0;
};

}  // namespace prony::attribution
