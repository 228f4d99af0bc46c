// A power gauge's readings → its cumulative energy at the instants of a Plan: the trapezoid rule between readings, with
// low and high from the smallest and largest reading that staleness lets bear on each stretch. Memory: the readings of
// one update period and the answers. Joules, relative to the first reading. Thread promise: as CounterCurve.
// Where each reading is known to be a mean over a window much longer than the polls are apart, the answers are what
// such means tell of the instant (attribute/moving_mean.hpp), as soon as the readings after it are there; those that
// they cannot tell stay as the trapezoid rule has them.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "attribute/held_value.hpp"
#include "attribute/moving_mean.hpp"
#include "attribute/plan.hpp"
#include "model/channel.hpp"

namespace prony::attribution {

class GaugeCurve {
 public:
  GaugeCurve(const Channel& channel, std::int64_t interval_ns, const Plan* plan);

  void poll(std::int64_t begin, std::int64_t end, std::int64_t raw);
  void gap(std::int64_t end) {
    if (!have_ && !missing_) last_end_ = end;  // a gap before the first reading begins where it was first missed
    missing_ = true;
    seen_end_ = end;
  }
  // What was asked for since the reading before the next one: what comes over twice as late is a gap.
  void set_interval(std::int64_t interval_ns) noexcept { interval_ns_ = interval_ns; }
  void close();

  [[nodiscard]] const Instants& instants() const noexcept { return instants_; }
  void forget_fixed() { instants_.forget(); }  // after close(): what is left is the grid
  [[nodiscard]] bool any() const noexcept { return have_; }
  [[nodiscard]] double total() const noexcept { return last_point().value; }  // after close()
  [[nodiscard]] std::int64_t first_begin() const noexcept { return first_begin_; }
  [[nodiscard]] std::int64_t last_end() const noexcept { return last_end_; }
  [[nodiscard]] double smallest_power() const noexcept { return smallest_; }  // of all readings
  [[nodiscard]] std::uint64_t readings() const noexcept { return readings_; }
  [[nodiscard]] std::uint64_t gaps() const noexcept { return gaps_; }
  [[nodiscard]] std::int64_t gap_ns() const noexcept { return gap_ns_; }
  [[nodiscard]] std::int64_t held_ns() const noexcept { return held_.held_ns(step_); }
  [[nodiscard]] double period_s() const;
  [[nodiscard]] Point first_point() const noexcept { return first_point_; }  // after close(), as is the next
  [[nodiscard]] Point last_point() const noexcept { return last_point_; }

 private:
  struct At {
    std::int64_t at = 0;
    double power = 0;
  };
  struct Stretch {
    At from, to;
    bool gap = false;
  };
  // Readings without a hole, and where its instants' values begin.
  struct Segment {
    MovingMean mean;
    std::size_t number = 0;
    double before_j = 0;
  };
  struct Later {  // an answer that waits for the readings after it
    std::int64_t at_ns = 0;
    std::optional<std::size_t> fixed, grid;
    Point point;
  };
  void finalise(const Stretch& stretch);
  void add_to_means(const At& now);
  void answer(const Point& point, bool of_means);
  void revise(bool all);
  [[nodiscard]] bool refine(Point& point, const Segment& segment, std::int64_t at_ns) const;
  [[nodiscard]] Point inside(const Stretch& stretch, double least, double most, std::int64_t at) const;
  [[nodiscard]] Point outside(double beyond_s) const;

  double scale_, step_;
  std::int64_t interval_ns_, period_ns_, documented_ns_;  // period_ns_: how old a reading may be
  Instants instants_;
  bool have_ = false, missing_ = false;
  At last_;
  std::int64_t first_begin_ = 0, first_at_ = 0, last_end_ = 0, seen_end_ = 0;
  double smallest_ = 0, largest_ = 0;
  std::deque<Stretch> pending_;      // wait for readings that staleness lets bear on them
  std::deque<At> falling_, rising_;  // sliding maximum and minimum
  double energy_ = 0, spread_low_ = 0, spread_high_ = 0;
  std::uint64_t readings_ = 0, gaps_ = 0;
  std::int64_t gap_ns_ = 0;
  HeldValue held_;
  std::int64_t window_ns_ = 0;  // of the mean that each reading is; 0: it is none, or none that can be told apart
  double seen_j_ = 0;           // by the trapezoid rule up to the newest reading
  std::size_t segment_number_ = 0;
  bool first_told_ = false;  // first_point_ is as it stays
  std::deque<Segment> segments_;
  std::deque<Later> later_;
  Point first_point_, last_point_;
};

}  // namespace prony::attribution
