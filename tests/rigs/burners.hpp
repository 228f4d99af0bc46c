// Burners: processes whose use of the CPU is planned, and whose true use is what their own clocks say. Units: seconds
// since the start signal where a name ends in _s, else nanoseconds. Thread promise: the conductor is one thread.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace prony::rigs {

inline constexpr const char* burner_help =
    R"(  --burner "name=a share=0.3 threads=2 begin=0 end=10"  a process of that name with so much of a CPU, over its threads
  --burner "name=b each=0.03 every=0.5 …"   short ones: at each beat one is born, burns so much, and ends
           by=conductor|parent              whose children the short ones are (default conductor; parent: one named b)
  --sleepers N   processes that do nothing        --light N   processes with 0.5 % of a CPU each
)";

struct BurnerPlan {
  std::string name;
  double share = 0;  // of one CPU, all threads together
  int threads = 1;
  double begin_s = 0, end_s = 0;   // born at the begin (those of 0 s before, waiting), ended at the end
  double each_s = 0, every_s = 0;  // short ones
  bool by_parent = false;
};
[[nodiscard]] Result<BurnerPlan> parse_burner(std::string_view words);

// What burners and conductor share: anonymous memory that children inherit.
struct Stage {
  std::atomic<std::int64_t> begin_ns{0};  // the start signal on CLOCK_MONOTONIC; 0: not yet
  // By burner: CPU time of the short ones that it has waited for, and the one that is alive.
  std::atomic<std::int64_t> children_ns[64]{};
  std::atomic<pid_t> child[64]{};
};

// Forks; the child never returns. It has the plan's name, and dies with its parent. `begin`: the pipe whose end of file
// is the start signal.
[[nodiscard]] pid_t start_burner(const BurnerPlan& plan, std::size_t index, Stage& stage, const Fd& begin);
[[nodiscard]] pid_t start_short_one(const BurnerPlan& plan);
[[nodiscard]] pid_t start_sleeper(const std::string& name);

[[nodiscard]] std::int64_t monotonic_ns() noexcept;
// CPU time of a process, all threads, dead ones too; −1: it is gone.
[[nodiscard]] std::int64_t process_clock_ns(pid_t pid) noexcept;
void sleep_until(std::int64_t ns) noexcept;

}  // namespace prony::rigs
