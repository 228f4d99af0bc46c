// The two small eBPF programs of the switch meter, as instructions for the bpf() system call: no compiler, object file
// or kernel type information is needed to load them. They call only helpers that a program under any licence may call.
//   switch  on every sched_switch (and, by BPF_PROG_TEST_RUN, on a CPU whose running task is to be counted up to now):
//           adds the time since the CPU's last switch to the process that leaves
//   exit    on sched_process_exit: notes in the entry of a process what it had used when its first thread ended
// Thread promise: pure functions. Units: ns of CLOCK_MONOTONIC.
// Sources: bpf(2), bpf-helpers(7), Documentation/bpf/standardization/instruction-set.rst, include/trace/events/sched.h.
#pragma once

#include <linux/bpf.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace prony {

// One per CPU, in a map of type per-CPU array (a multiple of 8 bytes, as such maps want it).
struct SwitchSlot {
  std::uint64_t last_ns = 0;    // the last switch here; 0: none seen yet
  std::uint64_t idle_task = 0;  // what the kernel calls this CPU's idle task; 0: not seen yet
  std::uint64_t next_task = 0;  // who came at the last switch
  std::uint64_t idle_ns = 0;
  std::uint64_t lost_ns = 0;  // of processes for which the table of uses had no room
  std::uint64_t switches = 0;
  std::uint32_t package = 0;  // written by user space, once
  std::uint32_t unused = 0;
};

// The table of uses: a hash of these. Values only grow while their process lives, so that nothing is lost by reading.
struct SwitchKey {
  std::uint32_t process = 0;  // as the first PID namespace numbers it
  std::uint32_t package = 0;
  auto operator<=>(const SwitchKey&) const = default;
};
struct SwitchValue {
  std::uint64_t cpu_ns = 0;
  std::uint64_t at_exit_ns = 0;  // cpu_ns when the first thread of a process of this number last ended
  std::uint64_t cgroup = 0;      // cgroup v2 id (the inode of its folder) when the entry was made, or at that end
  std::uint32_t user = 0;
  std::uint32_t exits = 0;  // ends of a first thread: 2 and more mean that the number was given again
  std::array<char, 16> name{};
};

[[nodiscard]] std::vector<bpf_insn> switch_program(int slots_map, int uses_map);
[[nodiscard]] std::vector<bpf_insn> exit_program(int slots_map, int uses_map);

}  // namespace prony
