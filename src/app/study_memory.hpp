// How much memory the processes below this one hold, for a study that ends a run which holds too much. Of each process
// what is its own (anonymous pages) adds up; of what processes share (files mapped, shared memory) the largest single
// part counts, so that a model that several map counts once. It is looked at, not enforced: what grows by more than the
// machine has between two looks meets the kernel first. Thread promise: any thread. Units: bytes. Sources: proc(5)
// (statm, children), vmstat's oom_kill.
#pragma once

#include <cstdint>
#include <string>

namespace prony::app {

// /proc/PID/task/TID/children is there (CONFIG_PROC_CHILDREN).
[[nodiscard]] bool memory_can_be_told();
// Of all descendants; 0 where there are none.
[[nodiscard]] std::uint64_t memory_of_descendants();
[[nodiscard]] std::string memory_words(std::uint64_t bytes);  // "1.5 GiB"
// How many processes the kernel has ended for want of memory since the machine began; 0 where it does not count them.
[[nodiscard]] std::uint64_t out_of_memory_kills();

}  // namespace prony::app
