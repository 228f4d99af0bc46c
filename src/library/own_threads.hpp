// OwnThreads: what the threads of a meter use in the program that holds it, so that it is Prony's and not the
// program's. They are those of this process whose names begin with "prony-". LessOwnThreads: the live machine as it
// would be if they were a process of their own. What the meter costs otherwise (caches, memory, calls by the program's
// threads) stays in the program's part. Units: ns of CPU time. Thread promise: look() by one thread at a time; the rest
// by any, without allocation. Source: linux/posix-timers.h (the clock of a thread by its number),
// pthread_setname_np(3).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>

#include "machine/machine.hpp"

namespace prony::library {

class OwnThreads {
 public:
  static constexpr std::size_t most = 64;  // beyond which they stay in the program's part
  // Finds those that are new, and those that have ended, whose time stays counted. Once a second or rarer.
  void look();
  // Never falls.
  [[nodiscard]] std::int64_t cpu_ns() noexcept;

 private:
  struct Thread {
    std::int64_t tid = 0, used_ns = 0;  // tid 0: it has ended
  };
  mutable std::mutex mutex_;
  std::array<Thread, most> threads_{};
  std::size_t count_ = 0;
  std::int64_t ended_ns_ = 0;
};

// own_cpu_time(): of those threads; process_cpu_time() of this process: of all others. Ownership: shares `threads`.
[[nodiscard]] std::unique_ptr<Machine> make_machine_less(std::shared_ptr<OwnThreads> threads);

}  // namespace prony::library
