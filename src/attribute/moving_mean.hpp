// A power that a driver shows as the mean over the last second, turned back into energy at an instant. A boxcar of
// width W forgets nothing but what repeats every W: E(t) = E(t − W) + W · A(t) holds exactly, so that the energy at t
// follows from that at t + kW for any k, and there the mean of E over W is the integral of the readings. Derived, with
// the error that is stated, in docs/methodology.md, "Power that is a mean over a window".
// Units: ns, W, J; energies are relative to begin(). Thread promise: plain value, one owner. Memory: the readings of
// some sixteen windows, at most 64 for each. Absent: too few readings, or they are no moving mean.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

namespace prony::attribution {

class MovingMean {
 public:
  struct Energy {
    double value_j = 0;
    double sigma_j = 0;            // standard deviation of the value
    double watts = 0;              // about what was drawn then: what an error of the time costs
    double low_j = 0, high_j = 0;  // nothing that draws no less than 0 W can lie outside
  };

  // `update_ns`: how often the source renews its reading; 0: not known, learned from its changes.
  MovingMean(std::int64_t window_ns, std::int64_t update_ns, double step_w)
      : window_ns_(window_ns), documented_ns_(update_ns), step_w_(step_w) {}

  void add(std::int64_t at_ns, double watts);  // in order
  // The first reading; while too few have changed to tell a moving mean, the first of the newest ones.
  [[nodiscard]] std::int64_t begin() const noexcept { return begin_ns_; }
  [[nodiscard]] double joules_before() const noexcept { return begin_j_; }  // of the readings, before begin()
  [[nodiscard]] std::int64_t end() const noexcept { return seen_ns_; }
  // How much later a reading may be and still tell of an instant.
  [[nodiscard]] std::int64_t reach() const noexcept { return windows * window_ns_ + window_ns_ / 2; }
  // Energy from begin() to `at_ns`, which lies within the readings; what the beginning leaves open is not in sigma.
  [[nodiscard]] std::optional<Energy> energy(std::int64_t at_ns) const;
  // Standard deviation of when readings were renewed: all alike, as long as nobody sees when it happens.
  [[nodiscard]] double time_sigma_s() const;
  // What the beginning leaves open. With all readings of its reach, or at the end of all: the same from then on.
  [[nodiscard]] std::optional<Energy> origin() const { return origin_ ? origin_ : place(begin_ns_); }

  static constexpr std::int64_t windows = 6;  // to either side of an instant

 private:
  struct Knot {
    std::int64_t at_ns = 0;
    double watts = 0;
    double joules = 0;  // of the readings, since begin()
  };
  class Candidates;
  void put(std::int64_t at_ns, double watts);
  [[nodiscard]] const Knot& before(std::int64_t at_ns) const;
  [[nodiscard]] double mean_at(std::int64_t at_ns) const;
  [[nodiscard]] double sum_to(std::int64_t at_ns) const;
  [[nodiscard]] bool within(std::int64_t at_ns) const { return at_ns >= knots_.front().at_ns && at_ns <= seen_ns_; }
  [[nodiscard]] bool moves() const;
  [[nodiscard]] std::int64_t spacing_ns() const noexcept {  // of the readings
    return (seen_ns_ - first_ns_) / static_cast<std::int64_t>(readings_ > 1 ? readings_ - 1 : 1);
  }
  [[nodiscard]] double doubt_j(std::int64_t at_ns) const;
  [[nodiscard]] double range_w(std::int64_t at_ns) const;
  void take(Candidates& all, std::int64_t at_ns, double further_j, double variance) const;
  [[nodiscard]] std::optional<Energy> place(std::int64_t at_ns) const;

  std::int64_t window_ns_, documented_ns_;
  double step_w_;
  std::deque<Knot> knots_;
  std::optional<Energy> origin_;
  std::int64_t first_ns_ = 0, begin_ns_ = 0, seen_ns_ = 0;
  double seen_w_ = 0, begin_j_ = 0;
  std::int64_t changed_ns_ = 0, shortest_ns_ = 0;
  std::uint64_t readings_ = 0, changes_ = 0;
};

}  // namespace prony::attribution
