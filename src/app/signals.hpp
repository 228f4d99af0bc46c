// Signals while something is measured: blocked in every thread, taken by one that waits for them, passed on by rule.
#pragma once

#include <signal.h>

#include <functional>
#include <string>
#include <thread>

#include "base/spawn.hpp"

namespace prony::app {

class SignalRelay {
 public:
  // Blocks the signals at once (so that no thread made later is hit); nothing is taken before relay().
  SignalRelay();
  ~SignalRelay();
  SignalRelay(const SignalRelay&) = delete;
  SignalRelay& operator=(const SignalRelay&) = delete;

  // What was in force before: what a command that is started meanwhile shall inherit.
  [[nodiscard]] const SignalState& before() const noexcept { return before_; }
  // `handler(signal, from_terminal)`: from_terminal is true for Ctrl-C and Ctrl-\, which the kernel sends to the whole
  // foreground process group, the measured command included.
  void relay(std::function<void(int, bool)> handler);

 private:
  sigset_t taken_{};
  SignalState before_;
  std::jthread thread_;
};

// Ends the process as the signal does where nobody takes it, after a line on standard error where that has room for
// one. Returns where the signal is ignored. For a handler of relay(): another thread may be held up in a write.
void end_by_signal(int number, const std::string& words);

}  // namespace prony::app
