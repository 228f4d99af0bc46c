// SwitchMeter: who used how much CPU time since the last look, to the switch: two eBPF programs add up in the kernel
// what every process ran between two switches of a CPU, per package; looking at it counts the running ones up to now.
// Nothing of Prony runs at a switch, and nobody is missed: not who was born and died between two looks, not a kernel
// thread. Needs Linux 5.10, CAP_BPF and CAP_PERFMON, and the first PID namespace (its numbers are the kernel's).
// What it counts is wall time on a CPU: interrupts that came meanwhile, and time that a hypervisor stole, are in it;
// process clocks leave those out where the kernel accounts for them.
// Thread promise: one thread at a time. Ownership: owns its programs and maps; they go with it, also by kill -9.
// Errors: denied (what would allow it), absent (kernel, namespace). Units: ns. Sources: bpf-helpers(7), and those of
// process/switch_program.hpp.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "model/time.hpp"
#include "process/switch_program.hpp"

namespace prony {

struct SwitchMeterOptions {
  // Pairs of process and package that can be told apart between two looks. Each takes about 130 bytes of the kernel's
  // memory and 90 of Prony's. What does not fit is counted as `lost_ns`.
  std::size_t most_entries = 32768;
};

// What one process number used of one package's CPUs within a look.
struct SwitchUse {
  pid_t process = 0;
  std::uint32_t package = 0;
  std::int64_t cpu_ns = 0;
  // A process ends with its first thread, but for those that let others go on without it. Above 0: that happened in
  // this look, after `before_exit_ns` of `cpu_ns`. If the number then shows another start time, the rest is the next
  // one's.
  std::uint32_t exits = 0;
  std::int64_t before_exit_ns = 0;
  uid_t user = 0;               // when it was first seen, or ended
  std::uint64_t cgroup = 0;     // v2 id: the inode of its folder; likewise
  std::array<char, 16> name{};  // comm, ends with 0; likewise
};

struct SwitchLook {
  Interval between;             // looks follow each other without a gap
  std::vector<SwitchUse> uses;  // of those that used something, or ended; in no order
  std::int64_t idle_ns = 0;     // of all CPUs together
  std::int64_t lost_ns = 0;     // used by processes for which the table had no room
  std::uint64_t switches = 0;
};

class SwitchMeter {
 public:
  [[nodiscard]] static Result<SwitchMeter> create(const SwitchMeterOptions& options = {});

  // What was used since the last call, or since create(). Memory is asked for only when there are more processes than
  // ever before. An error (a kernel that stops answering) leaves what was not told for the next look.
  [[nodiscard]] Result<void> look(SwitchLook& out);
  // Entries of the table in use; for tests and bench.
  [[nodiscard]] std::size_t entries() const noexcept { return seen_.size(); }
  [[nodiscard]] const Fd& switch_program() const noexcept { return switch_; }  // for bench

 private:
  struct Seen {
    std::uint64_t cpu_ns = 0;
    std::uint32_t exits = 0;
    std::uint32_t quiet_looks = 0;
  };
  struct HashKey {
    [[nodiscard]] std::size_t operator()(const SwitchKey& key) const noexcept {
      return std::hash<std::uint64_t>{}(std::uint64_t{key.process} << 32 | key.package);
    }
  };
  SwitchMeter() = default;
  [[nodiscard]] int read_slots() noexcept;
  void count_running() noexcept;
  [[nodiscard]] int read_uses(SwitchLook& out);
  void take_use(const SwitchKey& key, const SwitchValue& value, SwitchLook& out);
  void add_slots(SwitchLook& out, Instant now) noexcept;

  Fd slots_map_, uses_map_, switch_, exit_, exit_link_, switch_link_;
  std::vector<unsigned> cpus_;     // possible ones: the order of `slots_`
  std::vector<SwitchSlot> slots_;  // as read last
  std::vector<SwitchKey> keys_;
  std::vector<SwitchValue> values_;
  std::vector<SwitchKey> gone_;
  std::unordered_map<SwitchKey, Seen, HashKey> seen_;
  std::uint64_t idle_ns_ = 0, lost_ns_ = 0, switches_ = 0;  // sums over the CPUs at the last look
  Instant last_;
};

}  // namespace prony
