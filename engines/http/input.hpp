// Input: the driver's lines, read without blocking, so that a cancel is seen whatever else is waited for.
// Thread promise: one thread. Errors: none; a line over 16 MiB is given cut, and says so.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>

namespace prony_http {

struct Line {
  std::string text;
  bool too_long = false;
  bool cancelled = false;  // a cancel came after it, before anybody took it
};

class Input {
 public:
  static constexpr std::size_t line_limit = std::size_t{16} << 20;

  explicit Input(int fd) : fd_(fd) {}
  [[nodiscard]] int fd() const noexcept { return fd_; }
  // Takes what is there; blocks if nothing is: call it when fd() is readable.
  void read_some();
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  [[nodiscard]] bool has_line() const noexcept { return !lines_.empty(); }
  [[nodiscard]] const Line& front() const { return lines_.front(); }
  [[nodiscard]] Line next();
  // A cancel overtakes what waits before it: that is its purpose. The end of input is one too.
  [[nodiscard]] bool cancelled() const noexcept { return cancelled_; }
  void forget_cancel() noexcept { cancelled_ = ended_; }
  // The same for what was not begun alone; what runs goes on.
  [[nodiscard]] bool withdrawn() const noexcept { return withdrawn_; }
  void forget_withdrawal() noexcept { withdrawn_ = false; }

 private:
  void push(Line line);

  int fd_;
  std::deque<Line> lines_;
  Line line_;
  bool ended_ = false, cancelled_ = false, withdrawn_ = false;
};

}  // namespace prony_http
