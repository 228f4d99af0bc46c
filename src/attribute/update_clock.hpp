// When a counter renews itself: on a grid φ + k·T. Each transition that polls found tells an interval in which one
// update happened; the lines through all intervals are narrowed as they come in (O'Rourke, 1981, An on-line algorithm
// for fitting straight lines between data ranges), so that period and phase are known far better than the polls'
// distance. A source that does not keep to any line gives short segments, which are not believed.
// Units: ns. Memory: the two hulls, a few points each. Thread promise: plain value, one owner.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/channel.hpp"

namespace prony::attribution {

// The updates of one segment: update k happened at origin + phase + k · period, less or more what is not known.
struct UpdateGrid {
  std::int64_t origin_ns = 0;
  double period_ns = 0, phase_ns = 0;
  double phase_sigma_ns = 0;   // of update centre_k, from what the intervals leave open
  double period_sigma_ns = 0;  // 0: the documented period, which no interval contradicts
  double jitter_ns = 0;        // updates come so much early or late
  double centre_k = 0;         // there the doubts of phase and period are independent
  [[nodiscard]] double at(double k) const { return phase_ns + k * period_ns; }  // since origin_ns
};

class UpdateClock {
 public:
  // `documented_period_ns`: exact if the intervals allow it; 0: none. `learned`: from an earlier watch, with its doubt.
  explicit UpdateClock(std::int64_t documented_period_ns, std::optional<LearnedPeriod> learned = std::nullopt)
      : documented_ns_(static_cast<double>(documented_period_ns)), learned_(learned) {}

  // The next transition's interval. False: it lies on no line through the ones before; nothing is changed.
  [[nodiscard]] bool add(std::int64_t earliest_ns, std::int64_t latest_ns);
  // Begins a segment with this interval; updates come about `period_ns` apart or multiples of it.
  void begin(std::int64_t earliest_ns, std::int64_t latest_ns, double period_ns);

  [[nodiscard]] std::int64_t last_k() const noexcept { return static_cast<std::int64_t>(last_k_); }
  [[nodiscard]] std::uint64_t updates() const noexcept { return updates_; }
  // Mean distance of the polls around an update.
  [[nodiscard]] double typical_width_ns() const { return widths_ / static_cast<double>(updates_); }
  // By how much the interval that was last refused missed the lines.
  [[nodiscard]] double missed_by_ns() const noexcept { return missed_by_ns_; }
  // Updates of what begins next may be so much early or late.
  void allow_jitter(double ns) noexcept { jitter_ns_ = ns; }
  // What the segment tells; nullopt: too few transitions.
  [[nodiscard]] std::optional<UpdateGrid> grid() const;

 private:
  struct Dot {
    double k = 0, at = 0;
  };
  struct Range {
    double from = 0, to = 0;
  };
  struct Line {
    double slope = 0, at_zero = 0;
    [[nodiscard]] double at(double k) const { return at_zero + slope * k; }
  };
  [[nodiscard]] static Line through(Dot a, Dot b);
  [[nodiscard]] bool place(double k, double earliest, double latest);
  [[nodiscard]] Range phases(double period, double k) const;
  void fit(double least, double most, const LearnedPeriod* believed, UpdateGrid& grid) const;

  double documented_ns_;
  std::optional<LearnedPeriod> learned_;
  std::int64_t origin_ns_ = 0;
  double rough_period_ns_ = 0, jitter_ns_ = 0, missed_by_ns_ = 0;
  std::vector<Dot> earliest_hull_;  // upper hull of what each update came after
  std::vector<Dot> latest_hull_;    // lower hull of what each update came before
  Line steepest_, flattest_;
  double last_k_ = 0, last_middle_ = 0, widths_ = 0;
  std::uint64_t updates_ = 0;
};

}  // namespace prony::attribution
