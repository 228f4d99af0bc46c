// KernelEvents: forks from the process connector and ends of threads from taskstats, for the whole machine.
// Thread promise: one thread. Ownership: owns its two netlink sockets; the kernel stops sending when they close.
// Errors: `denied` without CAP_NET_ADMIN, `absent` on kernels without CONFIG_PROC_EVENTS or CONFIG_TASKSTATS.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.hpp"
#include "base/spawn.hpp"
#include "model/time.hpp"

namespace prony {

struct ForkEvent {
  pid_t parent_process = 0;
  pid_t child_thread = 0, child_process = 0;  // equal: a new process; else a new thread of child_process
  Instant at;
};

struct ThreadEnd {
  pid_t thread = 0;
  std::array<char, 16> name{};
  std::int64_t cpu_ns = 0;                  // precise
  std::int64_t user_ns = 0, system_ns = 0;  // by clock ticks: good for a share only
  std::uint64_t minor_faults = 0, major_faults = 0, voluntary = 0, involuntary = 0;
  IoUsage io;
};

// What one datagram of the kernel tells, added to `out`; a message that is cut or of another kind is passed over.
void add_forks(std::string_view datagram, std::vector<ForkEvent>& out);        // of the process connector
void add_thread_ends(std::string_view datagram, std::vector<ThreadEnd>& out);  // of taskstats

class KernelEvents {
 public:
  [[nodiscard]] static Result<KernelEvents> open();
  // Waits for events. False: `stop` became readable.
  [[nodiscard]] bool wait(const Fd& stop) const noexcept;
  // Add all that is there now. True: the kernel had to drop some.
  [[nodiscard]] bool read_forks(std::vector<ForkEvent>& out);
  [[nodiscard]] bool read_ends(std::vector<ThreadEnd>& out);

 private:
  KernelEvents(Fd connector, Fd taskstats)
      : connector_(std::move(connector)), taskstats_(std::move(taskstats)), buffer_(256 * 1024) {}
  Fd connector_, taskstats_;
  std::vector<char> buffer_;
};

}  // namespace prony
