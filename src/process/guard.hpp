// Guard: a tiny process that ends the measured tree when the meter dies, however it dies (--die-with-prony). It holds
// one end of a pipe; end of file without a disarm() before it means that the meter is gone.
// Thread promise: one owner. Start it before the first thread and before the command; it survives Ctrl-C and Ctrl-Z.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace prony {

// Which tree. With a cgroup, all that is in it; else the descendants of `root` and every process of this user whose
// environment says PRONY_RUN_ID=<run_id> (an orphan that dropped its environment is out of reach).
struct GuardTarget {
  pid_t root = -1;
  std::uint64_t root_start_ticks = 0;  // field 22 of /proc/PID/stat: a number that was given away again is left alone
  std::string cgroup_directory;
  std::string run_id;
};

// Sends `signal` to the whole tree once; returns how many processes got it (a cgroup.kill counts as one).
std::size_t signal_tree(const GuardTarget& target, int signal);

class Guard {
 public:
  Guard() = default;
  Guard(pid_t pid, Fd pipe) : pid_(pid), pipe_(std::move(pipe)) {}
  Guard(Guard&& other) noexcept : pid_(std::exchange(other.pid_, -1)), pipe_(std::move(other.pipe_)) {}
  Guard& operator=(Guard&&) = delete;
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  ~Guard();  // disarms

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  // From now on our death ends the tree. Error: the guard is gone.
  [[nodiscard]] Result<void> arm(const GuardTarget& target);
  // The command has ended, or is to outlive us: the guard leaves, and is reaped.
  void disarm() noexcept;

 private:
  pid_t pid_ = -1;
  Fd pipe_;
};

[[nodiscard]] Result<Guard> start_guard();

}  // namespace prony
