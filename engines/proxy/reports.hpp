// Reports: lines to the meter through a pipe, never waited for. What the meter does not take in time is kept up to 4
// MiB, then dropped and counted; when it has gone, the traffic goes on without it. Thread promise: one thread.
// Ownership: borrows the descriptor. Errors: none; gone() and lost(). The lines: docs/proxy.md.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "watch.hpp"

namespace prony_proxy {

// What is told of a request, as one line of JSON.
[[nodiscard]] prony_http::json to_json(const Seen& seen);

class Reports {
 public:
  static constexpr std::size_t most_waiting_bytes = std::size_t{4} << 20;

  explicit Reports(int fd);
  void say(const prony_http::json& message);
  void flush();  // when the pipe may take more
  [[nodiscard]] bool wants_to_write() const noexcept { return !gone_ && !waiting_.empty(); }
  [[nodiscard]] bool gone() const noexcept { return gone_; }
  void meter_is_gone();
  [[nodiscard]] std::uint64_t lost() const noexcept { return lost_; }

 private:
  int fd_;
  std::deque<std::string> waiting_;
  std::size_t waiting_bytes_ = 0, first_sent_ = 0;
  std::uint64_t lost_ = 0;
  bool gone_ = false;
};

}  // namespace prony_proxy
