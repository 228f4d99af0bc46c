// Watching one sensor: reads it as fast as is sensible for a while, in a thread of its own, so that a sensor that hangs
// costs the watch and not the program. Thread promise: watch() from one thread; it starts others and, if a read does
// not come back, leaves one behind that owns all it touches. Ownership: Machine and Sensor are shared for that reason.
// Nothing fails: what was seen until the end, the interruption or the hang is in the log.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "passport/learn.hpp"
#include "sensors/sensor.hpp"

namespace prony::passport {

struct WatchOptions {
  Duration length = milliseconds(200);
  bool make_load_steps = false;  // burn all CPUs for a quarter of the time, so that a gauge's averaging shows
  bool measure_slowing = false;  // afterwards, some 0.2 s: how much another CPU loses while this sensor is read
  Duration patience = milliseconds(2000);          // how long one read may take before it is given up
  const std::atomic<bool>* interrupted = nullptr;  // set: stop now and keep what there is
};

// Reads of all channels of one sensor; grows from one thread, may be read up to ticks() from another.
class WatchLog {
 public:
  WatchLog(std::size_t channels, std::size_t capacity);
  void push(Instant begin, Instant end, std::span<const Reading> readings) noexcept;
  [[nodiscard]] bool full() const noexcept { return ticks() == capacity_; }
  [[nodiscard]] std::size_t ticks() const noexcept { return ticks_.load(std::memory_order_acquire); }
  [[nodiscard]] std::size_t channels() const noexcept { return channels_; }
  // The first `count` reads of a channel; `count` at most ticks().
  [[nodiscard]] Ticks channel(std::size_t channel, std::size_t count) const;

 private:
  std::size_t channels_, capacity_;
  std::atomic<std::size_t> ticks_{0};
  std::vector<std::int64_t> begin_, end_, raw_;
  std::vector<Quality> quality_;
};

struct Watched {
  std::shared_ptr<const WatchLog> log;
  std::size_t ticks = 0;
  std::vector<Instant> load_steps;
  std::optional<Duration> slows_others;
  std::string why_not_slowing;  // if that is absent
  bool hung = false;            // a read did not come back within the patience
  bool cut = false;             // interrupted
  bool full = false;            // more reads than there was room for: it ended early
};

[[nodiscard]] Watched watch(const std::shared_ptr<Machine>& machine, const std::shared_ptr<Sensor>& sensor,
                            const WatchOptions& options);

// How much time another CPU loses by one read, from pairs of phases (the reader computes / the reader reads); each
// entry the loss per read in ns. Resolved if it stands out of its own scatter; else the reason says below what it is.
struct Slowing {
  std::optional<Duration> per_read;
  std::string why_not;
};
[[nodiscard]] Slowing resolve_slowing(std::vector<double> lost_ns_per_read);

}  // namespace prony::passport
