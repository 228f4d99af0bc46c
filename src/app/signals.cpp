#include "app/signals.hpp"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <utility>

namespace prony::app {

namespace {

// Ends the thread's wait, sent to it alone by the destructor: a wait in slices would cost every run its last slice.
constexpr int wake = SIGUSR2;

}  // namespace

SignalRelay::SignalRelay() : before_(current_signal_state()) {
  ::sigemptyset(&taken_);
  for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2}) ::sigaddset(&taken_, number);
  ::pthread_sigmask(SIG_BLOCK, &taken_, nullptr);
  // A reader that has gone (`2>&1 | head`) and a limit on file sizes are errors of a write, not the end of a recording.
  // The command gets what was in force before.
  for (const int number : {SIGPIPE, SIGXFSZ}) ::signal(number, SIG_IGN);
}

SignalRelay::~SignalRelay() {
  if (thread_.joinable()) {
    thread_.request_stop();
    ::pthread_kill(thread_.native_handle(), wake);  // blocked there, so it waits until the thread asks
    thread_.join();
  }
  ::pthread_sigmask(SIG_SETMASK, &before_.mask, nullptr);
}

void SignalRelay::relay(std::function<void(int, bool)> handler) {
  thread_ = std::jthread([this, handler = std::move(handler)](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      siginfo_t info{};
      const int number = ::sigwaitinfo(&taken_, &info);
      const bool own_wake = number == wake && stop.stop_requested();
      if (number > 0 && !own_wake) handler(number, info.si_code == SI_KERNEL);
    }
  });
}

void end_by_signal(int number, const std::string& words) {
  struct sigaction found{};
  if (::sigaction(number, nullptr, &found) == 0 && found.sa_handler == SIG_IGN) return;  // as nohup has it
  pollfd room{STDERR_FILENO, POLLOUT, 0};
  const std::string line = "prony: " + words + '\n';  // not by stdio, whose lock another thread may hold
  if (::poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0) [[maybe_unused]]
    const auto written = ::write(STDERR_FILENO, line.data(), line.size());
  ::signal(number, SIG_DFL);
  sigset_t only;
  ::sigemptyset(&only);
  ::sigaddset(&only, number);
  ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
  (void)::raise(number);
}

}  // namespace prony::app
