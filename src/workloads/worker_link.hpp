// WorkerLink: the two pipes to a worker and the JSON Lines that go through them. Knows no message but its frame.
// Thread promise: one thread; wake() from any. Ownership: owns its ends, and the worker's until drop_child_ends().
// Errors: a Reply with its Trouble; what is wrong with the pipes themselves is error().
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "base/spawn.hpp"

namespace prony {

// What a worker has to wind up in, once it was told to.
inline constexpr std::int64_t wind_up_ns = 2'000'000'000;

// How a wait for a reply ended, when it was not a reply.
enum class Trouble { ended, timeout, garbage, woken };

struct Reply {
  nlohmann::json message;  // an object with a text "type", if no trouble
  std::optional<Trouble> trouble;
  std::string detail;  // of garbage
};

class WorkerLink {
 public:
  WorkerLink();
  // The worker's standard input and output are ours.
  [[nodiscard]] SpawnOptions command(const std::vector<std::string>& arguments);
  [[nodiscard]] const std::optional<Error>& error() const noexcept { return error_; }
  // Only the worker may hold its ends, or its death would go unnoticed.
  void drop_child_ends();

  // Sends at once; false: it could not all be sent until `deadline_ns` (CLOCK_MONOTONIC).
  [[nodiscard]] bool send(const nlohmann::json& message, std::int64_t deadline_ns);
  // Sends as the worker takes it, while receive() waits. In the order of the calls, after what was sent before.
  void queue(const nlohmann::json& message);
  [[nodiscard]] std::size_t queued_bytes() const noexcept { return outgoing_.size() - sent_; }
  // The next line. `heed_wake`: a wake() ends the wait as Trouble::woken; it stays in force until forget_wake().
  [[nodiscard]] Reply receive(std::int64_t deadline_ns, bool heed_wake);
  // Whether another reply can be had without a wait.
  [[nodiscard]] bool has_line() const noexcept { return buffer_.find('\n', begin_) != std::string::npos; }

  void wake() noexcept;
  void forget_wake() noexcept;
  void close_input() { to_.reset(); }
  void close_output() { from_.reset(); }

  // For deadlines of waiting only, and for when requests are to be sent; nothing that is measured uses it.
  [[nodiscard]] static std::int64_t now_ns();

 private:
  [[nodiscard]] bool flush();
  [[nodiscard]] Reply take_line(std::size_t end);

  Fd wake_, child_in_, child_out_, to_, from_;
  std::string buffer_, outgoing_;
  std::size_t begin_ = 0, sent_ = 0, line_ = 0;
  std::optional<Error> error_;
};

}  // namespace prony
