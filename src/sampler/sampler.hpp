// Sampler: reads sensors on absolute deadlines in lanes of their own and hands blocks of ticks to one consumer.
// No allocation on a tick. A consumer that is too slow costs whole ticks of the lane that fills first, counted, and
// never delays a tick. Thread promise: start/stop/take from the owner's threads as said; one thread per lane inside.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "machine/machine.hpp"
#include "model/sample.hpp"
#include "sensors/sensor.hpp"

namespace prony {

struct LanePlan {
  std::string name;  // "fast", "slow", or the sensor's name for a blocking one
  Duration interval;
  std::vector<Sensor*> sensors;  // read in this order; not owned; used by the lane's thread only while running
  std::optional<unsigned> cpu;   // pinned to this CPU; nullopt: runs anywhere
  Group group;                   // channels in the same order: Σ sensors' channels
};

struct LaneStats {
  std::string name;
  std::uint64_t ticks = 0;    // made
  std::uint64_t missed = 0;   // deadlines that passed without a tick
  std::uint64_t late = 0;     // ticks that began over one interval late
  std::uint64_t dropped = 0;  // ticks made but lost because the consumer did not take them
  Duration cpu;               // CPU time of the lane's thread
  Duration worst_lateness;
  Duration worst_tick;  // longest begin → end
  Duration interval;    // in force now
  bool stuck = false;   // after stop(): its thread hangs in a sensor and was left behind; see stop()
};

class Sampler {
 public:
  [[nodiscard]] static std::unique_ptr<Sampler> create(Machine& machine, std::vector<LanePlan> lanes);
  virtual ~Sampler() = default;  // stops

  // Starts the lanes; each makes its first tick at once. Returns when every non-blocking lane has made it. Errors:
  // usage (a plan that does not add up), unavailable (no thread to be had), transient (a lane did not finish its first
  // tick within 5 s; the others run).
  [[nodiscard]] virtual Result<void> start() = 0;
  // One more tick of every lane now, out of schedule (window edges); waits for the non-blocking ones (2 s at most).
  virtual void tick_now() = 0;
  // After a last tick; idempotent. A lane that does not come back from a sensor within 2 s is left behind, its `stuck`
  // is set, and its sensors (and the Machine they read) must then outlive the program: leak them, do not destroy them.
  virtual void stop() = 0;

  // Consumer: the next block that holds ticks (full, or older than `max_age`), or null after `wait`. Give it back with
  // recycle(). One consumer thread. After stop(): what is left, whatever its age, then null without waiting.
  [[nodiscard]] virtual std::unique_ptr<TickBlock> take(Duration wait, Duration max_age) = 0;
  virtual void recycle(std::unique_ptr<TickBlock> block) = 0;
  // Consumer: take() also returns, with null, while this descriptor can be read; -1: none. It must stay open meanwhile.
  virtual void also_wait_for(int descriptor) = 0;

  // From its next deadline on, the lane of `group` ticks every `interval` (1 µs at least; else nothing changes),
  // counted from the last deadline that was due; no deadline of the old interval counts as missed. Any thread, at any
  // time. Readers of the Run must learn of it, or they take a slower lane's pace for gaps: see
  // model/interval_change.hpp.
  virtual void set_interval(GroupId group, Duration interval) = 0;

  // The newest reading of a lane's channels, for a live display; empty before the first tick.
  [[nodiscard]] virtual std::vector<Reading> latest(GroupId group, Instant& at) const = 0;
  [[nodiscard]] virtual std::vector<LaneStats> stats() const = 0;
};

}  // namespace prony
