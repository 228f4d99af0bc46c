// Where a process used its CPU time: each thread's part counts for the CPU that it was last seen on, which is field 39
// of /proc/PID/task/TID/stat. A process of one thread costs one file, others a folder and a file a thread; who used
// nothing since the last look should not be asked. Threads' own times come in steps of 10 ms: they say how the
// process's clock is divided, not how much it is.
// Thread promise: the Machine from any thread; a ThreadPlaces has one owner. Errors: none; a process that is gone, or
// another one, places nothing. Source: proc(5), fs/proc/array.c (task_cpu).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "machine/cpu_packages.hpp"
#include "machine/machine.hpp"

namespace prony {

// What of a stat file of a process or a thread is needed here.
struct ThreadStat {
  std::int64_t ticks = 0;  // user and system, USER_HZ
  std::int64_t threads = 0;
  std::uint64_t start_ticks = 0;
  std::int64_t cpu = -1;  // last seen on
};
[[nodiscard]] std::optional<ThreadStat> parse_thread_stat(std::string_view text) noexcept;

// False: there is no process of this name, or not on this machine ("self" on a captured one).
[[nodiscard]] bool tells_threads(Machine& machine, const std::string& process);

// Where a process was last seen, whatever it used; nullopt: not known.
[[nodiscard]] std::optional<std::size_t> last_place(Machine& machine, const CpuPackages& packages,
                                                    const std::string& process);

// What is known of one process between two looks.
struct ThreadPlaces {
  struct Thread {
    std::int64_t id = 0;
    std::int64_t ticks = 0;
  };
  std::int64_t placed_ns = 0;  // of its clock: placed already, or used before anybody asked
  std::vector<Thread> threads;
};

// Places what `process` ("1234", or "self") has used since `places.placed_ns`, of `clock_ns` in all; nullopt: the clock
// is the sum of its stat file. `start_ticks`: of whom is meant; 0: whoever is there. What each package got is added to
// `used_ns`, by place. Time that cannot be placed yet waits for the next look.
void place_threads(Machine& machine, const CpuPackages& packages, const std::string& process, std::uint64_t start_ticks,
                   std::optional<std::int64_t> clock_ns, ThreadPlaces& places, std::span<std::int64_t> used_ns);

}  // namespace prony
