// Poller: waits for many sockets and one instant at once (epoll, timerfd), at a cost that grows with what happens and
// not with what is open. Level-triggered: what is not taken is told again. Thread promise: one thread. Ownership: owns
// its own descriptors, none of those it watches; one that is closed needs no forget(). Errors: a descriptor that cannot
// be watched (a regular file as standard input) is reported by watch() and is always ready. Source: epoll(7),
// timerfd_create(2).
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <span>

namespace prony_http {

class Poller {
 public:
  Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller();

  // Begins to watch, or changes what for; `tag` comes back with its events. False: it cannot be watched.
  bool watch(int fd, bool for_writing, void* tag);
  void forget(int fd);
  // Waits until something is ready or `until_ns` (CLOCK_MONOTONIC) has come, whose precision is the kernel's timer's
  // and not a millisecond; `until_ns` in the past: looks only. Events of descriptors alone; valid until the next call.
  [[nodiscard]] std::span<const epoll_event> wait(std::int64_t until_ns);

 private:
  int epoll_, timer_;
  std::int64_t armed_ns_ = 0;
  std::array<epoll_event, 256> events_{};
};

}  // namespace prony_http
