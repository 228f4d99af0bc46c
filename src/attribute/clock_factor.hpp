// What the clocks that were recorded make of a modelled channel's load part: P_dyn ∝ C · V² · f, so between the clock
// (voltage stays) and its cube (voltage falls in proportion); Weste and Harris, CMOS VLSI Design, §5. One factor for
// the whole Run, from the clocks in the measured window, each weighted by the busy time that went by at it. Hz; pure.
// Thread promise: plain value, one owner; copying gives an independent fold.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include "attribute/plan.hpp"
#include "model/channel.hpp"
#include "model/charge.hpp"
#include "model/sample.hpp"

namespace prony::attribution {

// The clocks of a machine's frequency policies at one moment.
struct ClockReading {
  double lowest_hz = 0, mean_hz = 0, highest_hz = 0;
};

// Is it the clock of CPUs? (A graphics processor's is a frequency too.)
[[nodiscard]] bool is_cpu_clock(const Channel& channel);

// Readings of one tick, channel by channel; the mean is that of the policies, or the one that the sensor formed itself.
class ClockTick {
 public:
  void add(const Channel& channel, std::int64_t raw);
  [[nodiscard]] std::optional<ClockReading> reading() const;

 private:
  double lowest_ = 0, highest_ = 0, sum_ = 0, count_ = 0;
  std::optional<double> mean_;
};

// Clocks by cell of the plan's grid inside the measured window; memory is bounded by the plan's number of cells.
class Clocks {
 public:
  // `window` empty: the Run has none, and one mean over all readings is kept.
  void add(std::int64_t at_ns, const ClockReading& reading, const Plan& plan, const std::optional<Interval>& window);
  [[nodiscard]] bool any() const noexcept { return !cells_.empty(); }

  // `busy_at` answers the busy time up to a grid instant, and up to the window's begin and end. Absent: nothing was
  // read in the window, or the model does not tell its reference clock.
  [[nodiscard]] std::optional<ModelClock> factor(const PowerModel& model, const Plan& plan,
                                                 const std::optional<Interval>& window,
                                                 const std::function<double(std::int64_t)>& busy_at) const;

 private:
  struct Cell {
    ClockReading sum;
    double count = 0;
  };
  std::map<std::int64_t, Cell> cells_;  // by number of the grid's cell
};

}  // namespace prony::attribution
