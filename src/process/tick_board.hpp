// TickBoard: what a tick reads of the process table: the clocks of the targets' processes. A look publishes a copy when
// it is done, so that no tick waits for a look, however long that takes: the sampler's lane goes first on a busy
// machine, and a look that is put aside there would hold all that lies on its lane.
// Units: ns of CPU time, bytes. Totals never step back.
// Thread promise: tick() and its results from one thread, take_seen() and publish() from another; the lock between them
// is held for a copy or a swap, never while anything is read. Ownership: shares the files that it reads.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "machine/machine.hpp"
#include "model/package_parts.hpp"

namespace prony {

// A process's CPU time, of all its threads, dead ones too; −1: it is gone; −2: not readable now. `stat` is read instead
// of the process clock, where those cannot be had (`from_stat`).
[[nodiscard]] std::int64_t read_process_clock(Machine& machine, std::int64_t pid, File* stat, bool from_stat) noexcept;

// The newest process id that was given out, by /proc/loadavg; −1: not known.
[[nodiscard]] std::int64_t read_newest_pid(File* loadavg) noexcept;

class TickBoard {
 public:
  struct Clock {
    std::int64_t pid = 0;
    std::uint64_t start_ticks = 0;
    std::int64_t credited_ns = 0;  // of its clock, what is in the published total of its target
    std::int64_t seen_ns = 0;      // its clock as the last tick saw it
    std::uint32_t slot = 0, target = 0;
    std::shared_ptr<File> stat;  // null: its process clock is read
  };
  struct Places {                         // where one target's CPU time was used, as PackageParts takes it
    std::vector<double> expected;         // empty: as it was
    std::vector<std::int64_t> placed_ns;  // by package
    std::int64_t pending_ns = 0;
  };
  struct Page {
    std::vector<Clock> clocks;
    std::vector<std::int64_t> totals;                     // by target
    std::vector<std::optional<std::uint64_t>> residents;  // by target
    std::vector<Places> places;                           // by target; empty: nobody asked at this look
    std::int64_t newest_pid = -1;                         // at the look
    bool from_stat = false;
  };
  // `cpus`: of each package, where there are several; else empty.
  TickBoard(Machine& machine, std::size_t targets, const std::vector<double>& cpus);

  // The clocks as ticks have seen them since the last look.
  void take_seen(std::vector<Clock>& clocks);
  // `page` becomes what ticks read; the former one comes back in its place, to be filled anew.
  void publish(Page& page);

  void tick(Instant now) noexcept;
  [[nodiscard]] std::int64_t total_ns(std::size_t target) const noexcept { return shown_[target]; }
  [[nodiscard]] std::optional<std::uint64_t> resident_bytes(std::size_t target) const noexcept {
    return residents_[target];
  }
  void show_packages(std::size_t target, std::span<Reading> out) noexcept;

 private:
  Machine& machine_;
  std::unique_ptr<File> loadavg_;
  std::mutex mutex_;
  Page page_;
  std::vector<PackageParts> parts_;  // by target; empty: there is one package
  // The tick's own.
  std::vector<std::int64_t> sums_, shown_;
  std::vector<std::optional<std::uint64_t>> residents_;
  Instant clocks_again_;
  std::int64_t clock_cost_ns_ = 2000;  // to begin with
};

}  // namespace prony
