// BusyByIdle: keeps a busy counter that the scheduler's tick samples true to what the CPUs did not idle. Work that
// begins and ends in step with the tick is seen by it always or never: 15 % too much or too little over ten seconds
// were measured with periodic work. Idle time is not sampled (the kernel stamps each entry to and exit from idle), so
//   busy = CPUs × time − idle − waiting for disks − stolen
// is what the count is brought to whenever those times are seen; between two such looks it moves as the ticks do, by so
// much more or less as they were wrong before. It never steps back: what was counted too much is waited for. Where the
// CPU times do not add up to CPUs × time (a recording, CPUs that come or go) the counter stays as read.
// Thread promise: one thread; nothing allocates. Source: fs/proc/stat.c (get_idle_time), kernel/time/tick-sched.c.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>

namespace prony {

// A counter of busy time that says more than this says rubbish.
inline constexpr std::int64_t largest_busy_count = std::int64_t{1} << 60;

// The first line of /proc/stat in units of 10 ms: what was idle, waiting or stolen, and the sum of all (guests are
// inside user).
struct CpuTimes {
  std::int64_t not_busy = 0, all = 0;
};
[[nodiscard]] std::optional<CpuTimes> cpu_times_of_proc_stat(std::string_view text) noexcept;

class BusyByIdle {
 public:
  // `unit_s`: seconds of one count of the counter. `always_seen`: the times are seen whenever the counter is read, so
  // that it need not move by itself.
  BusyByIdle(double unit_s, bool always_seen) noexcept : unit_s_(unit_s), largest_factor_(always_seen ? 0 : 2) {}

  // The kernel's counter was read: move() first, see() of the same moment after it.
  void move(std::int64_t raw) noexcept;
  // The times as they are at `now_ns`, of so many CPUs.
  void see(std::int64_t now_ns, const CpuTimes& times, unsigned cpus) noexcept;
  // The times cannot be read: counts are taken as they come.
  void lose() noexcept;
  // What stands for the kernel's counter.
  [[nodiscard]] std::int64_t count() const noexcept { return static_cast<std::int64_t>(std::floor(published_)); }

 private:
  struct Seen {
    std::int64_t now_ns = 0;
    CpuTimes times;
  };
  [[nodiscard]] bool adds_up(const Seen& now) const noexcept;  // since checked_
  [[nodiscard]] bool follows(const Seen& now) const noexcept;  // last_: no CPU came or went
  void begin(const Seen& now, unsigned cpus) noexcept;

  double unit_s_, largest_factor_;
  std::optional<Seen> base_;  // from where idle times are counted
  Seen last_;
  Seen checked_;          // from where it is asked next whether they add up
  bool trusted_ = false;  // they did
  unsigned cpus_ = 0;
  double base_count_ = 0;  // the counter at base_
  double truth_seen_ = 0;  // at the last look
  std::int64_t raw_seen_ = 0;
  std::optional<std::int64_t> raw_;
  double published_ = 0;
  double factor_ = 1;
};

}  // namespace prony
