// BusyTime: CPU time that all CPUs of the machine have spent on somebody, as one counter. Two sources:
//   cgroup v2 root cpu.stat   user_usec + system_usec, in µs; 1 µs a read. The one used where it is the true root.
//   /proc/stat first line     user + nice + system + irq + softirq, in 10 ms units (USER_HZ); 7 µs a read and more on
//                             large machines. The fallback, everywhere.
// Both are kept true by the CPUs' idle times (busy_by_idle.hpp): /proc/stat at every read, as it holds them; cpu.stat
// ten times a second, and less often where reading /proc/stat is dear. Both are the kernel's per-CPU sums, moved at the
// scheduler tick (1/HZ): measured here at HZ = 250 with a spinner of 1.500 s of CPU, cpu.stat moved 375 times by 4 ms,
// /proc/stat 150 times by 10 ms. Time stolen by a hypervisor and time waiting for disks is not busy. Source:
// kernel/cgroup/rstat.c, fs/proc/stat.c. Thread promise: read() from one thread, fault() from any. The Machine must
// outlive it.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "machine/machine.hpp"
#include "model/channel.hpp"
#include "model/sample.hpp"
#include "sensors/busy_by_idle.hpp"
#include "sensors/sensor.hpp"

namespace prony {

class BusyTime {
 public:
  [[nodiscard]] static Result<BusyTime> open(Machine& machine);

  // Counts of `scale` seconds; a gap where the text is not what it should be. No allocation.
  [[nodiscard]] Reading read() noexcept;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  // Sets scale, update period, resolution, kind, device and max_rate of a channel that holds these readings.
  void describe(Channel& channel, unsigned cpus) const;

 private:
  void open_idle_times();
  void see_idle_times(std::string_view proc_stat) noexcept;
  void read_idle_times() noexcept;

  Machine* machine_ = nullptr;
  std::unique_ptr<File> file_;
  std::unique_ptr<File> times_, online_;  // /proc/stat and the list of CPUs; null: counts are taken as they come
  unsigned cpus_ = 0;
  std::int64_t next_times_ns_ = INT64_MIN, next_online_ns_ = INT64_MIN;
  std::optional<BusyByIdle> by_idle_;
  std::string path_;
  bool cgroup_ = false;
  Duration tick_;
  std::int64_t next_reopen_ns_ = INT64_MIN;
};

// A sensor of one channel that holds the readings of a BusyTime; `channel` says all else of it.
[[nodiscard]] Probe make_busy_sensor(Machine& machine, Channel channel);

// The sums in the two texts; nullopt: not such a text. For tests and fuzzing.
[[nodiscard]] std::optional<std::int64_t> busy_usec_of_cpu_stat(std::string_view text) noexcept;
[[nodiscard]] std::optional<std::int64_t> busy_ticks_of_proc_stat(std::string_view text) noexcept;

}  // namespace prony
