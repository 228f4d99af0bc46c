// TargetCounts: CPU cycles and last-level cache misses of targets, by perf events on their processes: counters
// "target.cycles" (domain "cycles") and "target.llc-misses" (domain "llc-misses") of the command's tree, and
// "target.NAME.cycles" … of each further target. The kernel adds up threads and, by the reach that is asked for,
// children, so that nobody who is born later has to be found.
// A target some process of which could not be counted (no descriptor left, another user's) is a gap from then on, with
// the reason: a part of its cycles would look like all of them.
// Thread promise: any thread; read() allocates nothing. Ownership: owns its events; the Machine must outlive it.
// Errors: denied, absent (no PMU; cores of two kinds), as Machine::open_perf. Source: perf_event_open(2).
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "model/target.hpp"
#include "sensors/sensor.hpp"

namespace prony {

struct TargetCountsOptions {
  std::size_t most_events = 512;  // perf events kept open, two of each thread that is followed
};

class TargetCounts final : public Sensor {
 public:
  // `targets`: in their order; one that is called "command" is the command's tree.
  [[nodiscard]] static Result<std::unique_ptr<TargetCounts>> create(Machine& machine,
                                                                    const std::vector<Target>& targets,
                                                                    const TargetCountsOptions& options = {});

  // The command: call while it is held before its exec. Counts it and all whom it starts, from the exec on.
  [[nodiscard]] Result<void> follow_command(std::size_t target, std::int64_t pid);
  // A process that runs: its threads of now, and those that they start. Not its children: each is followed by itself,
  // once, however often this is called for it. `gone`: it has ended meanwhile, nothing changed.
  [[nodiscard]] Result<void> follow(std::size_t target, std::int64_t pid);
  // It has ended: what it counted stays, its descriptors are given back. Who was not followed is no error.
  void forget(std::int64_t pid);

  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::fast; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override;
  [[nodiscard]] std::vector<Unavailable> complaints() override;

 private:
  static constexpr std::size_t kinds = 2;  // cycles, misses
  using Counts = std::array<std::uint64_t, kinds>;
  struct Followed {  // one thread, with whom it started since
    std::int64_t pid = 0;
    std::size_t target = 0;
    std::array<std::unique_ptr<PerfGroup>, kinds> events;
  };
  TargetCounts(Machine& machine, const std::vector<Target>& targets, std::size_t events,
               const TargetCountsOptions& options);
  [[nodiscard]] Result<void> add(std::size_t target, std::int64_t pid, std::int64_t thread, PerfReach reach);
  void miss(std::size_t target, const std::string& why);
  // errno of the first event that could not be read, or 0.
  [[nodiscard]] int count(const Followed& followed, Counts& sum) const noexcept;

  Machine& machine_;
  const std::size_t events_;  // 1: cycles only
  const TargetCountsOptions options_;
  std::vector<Channel> channels_;  // per target: cycles, then misses where they are counted
  mutable std::mutex mutex_;
  std::vector<Followed> followed_;
  std::vector<Counts> ended_, sums_;     // per target: of those that were forgotten; of all, while read() adds them up
  std::vector<std::string> incomplete_;  // per target: why some of it is not counted; "": all is
  std::vector<int> faults_;              // per target: errno of this tick
  std::vector<Unavailable> complaints_;
};

}  // namespace prony
