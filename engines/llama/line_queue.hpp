// Lines of standard input, read by a thread of their own so that a cancel is seen while a prompt is being computed.
// Thread promise: next() from one thread; the cancel flag from any. The reader thread blocks in read(2) until the end.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>

namespace prony_engine {

struct Line {
  std::string text;
  bool too_long = false;  // more than line_limit bytes: the text is cut
};

class LineQueue {
 public:
  static constexpr std::size_t line_limit = std::size_t{16} << 20;

  // Starts reading `fd`. The queue must outlive the process's use of it (the thread is detached).
  void start(int fd);
  // Blocks; nullopt at the end of input.
  [[nodiscard]] std::optional<Line> next();
  // Set by a cancel line or the end of input; cleared by whoever begins a prompt.
  [[nodiscard]] std::atomic<bool>& cancelled() noexcept { return cancelled_; }
  [[nodiscard]] bool ended();

 private:
  void read_all(int fd);
  void push(Line line);

  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Line> lines_;
  bool ended_ = false;
  std::atomic<bool> cancelled_{false};
};

}  // namespace prony_engine
