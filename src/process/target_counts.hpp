// TargetCounts: CPU cycles and last-level cache misses of targets, by perf events on their processes: counters
// "target.cycles" (domain "cycles") and "target.llc-misses" (domain "llc-misses") of the command's tree, and
// "target.NAME.cycles" … of each further target. Beside them "target.counted" (domain "counted", seconds): for how much
// CPU time the same events counted. Who reads the Run holds that against the target's CPU time, for a part of a
// target's cycles would look like all of them.
// The kernel adds up the threads and children that a followed thread has from then on: nobody who is born later has to
// be found. A target whose processes cannot all be counted (no descriptor left, another user's) is a gap from then on,
// with the reason. Reading takes at most a hundredth of the time: in between, what was read last is told again.
// Thread promise: read() on one thread, see() on another; read() allocates nothing. Ownership: owns its events; the
// Machine must outlive it. Errors: denied, absent (no PMU; cores of two kinds), as Machine::open_perf.
// Source: perf_event_open(2).
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "model/target.hpp"
#include "process/follow.hpp"
#include "sensors/sensor.hpp"

namespace prony {

inline constexpr PerfEvent perf_task_clock{1, 1};  // PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK: ns on a CPU

struct TargetCountsOptions {
  std::size_t most_events = 768;  // perf events kept open, three of each thread that is followed
  // Time, cycles, misses; tests count others where there is no PMU.
  std::array<PerfEvent, 3> events{perf_task_clock, perf_cycles, perf_cache_misses};
};

class TargetCounts final : public Sensor {
 public:
  // `targets`: in their order; one that is called "command" is the command's tree.
  [[nodiscard]] static Result<std::unique_ptr<TargetCounts>> create(Machine& machine,
                                                                    const std::vector<Target>& targets,
                                                                    const TargetCountsOptions& options = {});

  // The command: call while it is held before its exec. Counts it and all whom it starts, from the exec on.
  [[nodiscard]] Result<void> follow_command(std::size_t target, std::int64_t pid);
  // All members of targets, as a look found them. Who is new is counted from now on: with its parent, where that was
  // counted before it was born, else by itself. Who is not there any more keeps what it counted.
  void see(std::span<const TargetMember> members);

  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::fast; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override;
  // Of which targets not all was counted, and why; for the end of a recording.
  [[nodiscard]] std::vector<Unavailable> unavailable() const;
  [[nodiscard]] std::size_t open_events() const;  // for tests

 private:
  static constexpr std::size_t kinds = 3;  // time, cycles, misses
  using Counts = std::array<std::uint64_t, kinds>;
  struct Followed {  // one thread, with all whom it started since
    std::uint64_t family = 0;
    std::size_t target = 0;
    std::array<std::unique_ptr<PerfGroup>, kinds> events;
  };
  struct Known {  // a member, and in which family it is counted
    TargetMember member;
    std::uint64_t family = 0;  // 0: in none, it has ended or may not be counted
    unsigned missing = 0;      // looks since it was there last
  };
  TargetCounts(Machine& machine, const std::vector<Target>& targets, std::size_t events,
               const TargetCountsOptions& options);
  [[nodiscard]] Result<Followed> open(std::size_t target, std::int64_t thread, PerfReach reach);
  [[nodiscard]] std::uint64_t follow(const TargetMember& member);  // the new family
  void close_families();
  void miss(std::size_t target, std::int64_t pid, const Error& error);
  // errno of the first event that could not be read, or 0.
  [[nodiscard]] int count(const Followed& followed, Counts& sum) const noexcept;
  [[nodiscard]] const Known* find(const TargetMember& member) const noexcept;

  Machine& machine_;
  const std::size_t events_;  // 2: no misses
  const TargetCountsOptions options_;
  std::vector<Channel> channels_;          // per target: cycles, time, and misses where they are counted
  std::vector<Known> known_, next_known_;  // ascending by pid; of the thread that looks
  std::uint64_t families_ = 0;
  mutable std::mutex mutex_;  // what follows
  std::vector<Followed> followed_;
  std::vector<Counts> ended_, sums_;     // per target: of those that were closed; of all, when they were read last
  std::vector<std::string> incomplete_;  // per target: why some of it is not counted; "": all is
  std::vector<int> faults_, faulted_;    // per target: errno of the last reading; of any
  Instant read_again_;
};

}  // namespace prony
