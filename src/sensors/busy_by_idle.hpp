// BusyByIdle: keeps a busy counter that the scheduler's tick samples true to what the CPUs did not idle. Work that
// begins and ends in step with the tick is seen by it always or never: 7 % too much or too little over ten seconds were
// measured with periodic work. Idle time is not sampled (the kernel stamps each entry to and exit from idle), so about
// once a second   busy = CPUs × time − idle − waiting for disks − stolen   says what the last second's ticks should
// have added up to, and the next second's counts are taken as so much more or less. It lags by a second and never steps
// back. Where the CPU times do not add up to CPUs × time (a recording, CPUs that come or go) the counter stays as read.
// Thread promise: one thread; nothing allocates. Source: fs/proc/stat.c (get_idle_time), kernel/time/tick-sched.c.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace prony {

// The first line of /proc/stat in units of 10 ms: what was idle, waiting or stolen, and the sum of all (guests are
// inside user).
struct CpuTimes {
  std::int64_t not_busy = 0, all = 0;
};
[[nodiscard]] std::optional<CpuTimes> cpu_times_of_proc_stat(std::string_view text) noexcept;

class BusyByIdle {
 public:
  // `unit_s`: seconds of one count of the counter.
  explicit BusyByIdle(double unit_s) noexcept : unit_s_(unit_s) {}

  [[nodiscard]] bool due(std::int64_t now_ns) const noexcept { return now_ns >= next_ns_; }
  // The times as they were at `now_ns`, after publish() of the same moment.
  void see(std::int64_t now_ns, const CpuTimes& times, unsigned cpus) noexcept;
  // The times cannot be read: counts are taken as they come.
  void lose(std::int64_t now_ns) noexcept;
  // The counter that stands for `raw`.
  [[nodiscard]] std::int64_t publish(std::int64_t raw) noexcept;

 private:
  struct Base {
    std::int64_t now_ns = 0;
    CpuTimes times;
    unsigned cpus = 0;
    double published = 0;
  };
  void begin(std::int64_t now_ns, const CpuTimes& times, unsigned cpus) noexcept;

  double unit_s_;
  std::int64_t next_ns_ = INT64_MIN;
  std::optional<Base> base_;  // where the idle times began to be counted from
  std::int64_t seen_ns_ = 0;
  CpuTimes seen_;
  std::optional<std::int64_t> raw_;
  std::int64_t raw_seen_ = 0;
  double truth_seen_ = 0;
  double published_ = 0;
  double factor_ = 1;
};

}  // namespace prony
