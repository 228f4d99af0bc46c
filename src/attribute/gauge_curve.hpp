// A power gauge's readings → its cumulative energy at the instants of a Plan: the trapezoid rule between readings, with
// low and high from the smallest and largest reading that staleness lets bear on each stretch. Memory: the readings of
// one update period and the answers. Joules, relative to the first reading. Thread promise: as CounterCurve.
#pragma once

#include <cstdint>
#include <deque>

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
  [[nodiscard]] bool any() const noexcept { return have_; }
  [[nodiscard]] double total() const noexcept { return energy_; }  // after close()
  [[nodiscard]] std::int64_t first_begin() const noexcept { return first_begin_; }
  [[nodiscard]] std::int64_t last_end() const noexcept { return last_end_; }
  [[nodiscard]] double smallest_power() const noexcept { return smallest_; }  // of all readings
  [[nodiscard]] std::uint64_t readings() const noexcept { return readings_; }
  [[nodiscard]] std::uint64_t gaps() const noexcept { return gaps_; }
  [[nodiscard]] std::int64_t gap_ns() const noexcept { return gap_ns_; }
  [[nodiscard]] double period_s() const;
  [[nodiscard]] Point last_point() const;  // after close(); the first one is all zeros

 private:
  struct At {
    std::int64_t at = 0;
    double power = 0;
  };
  struct Stretch {
    At from, to;
    bool gap = false;
  };
  void finalise(const Stretch& stretch);
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
};

}  // namespace prony::attribution
