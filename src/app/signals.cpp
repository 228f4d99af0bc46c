#include "app/signals.hpp"

#include <pthread.h>
#include <time.h>

#include <cerrno>
#include <utility>

namespace prony::app {

SignalRelay::SignalRelay() : before_(current_signal_state()) {
  ::sigemptyset(&taken_);
  for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2}) ::sigaddset(&taken_, number);
  ::pthread_sigmask(SIG_BLOCK, &taken_, nullptr);
}

SignalRelay::~SignalRelay() {
  if (thread_.joinable()) {
    thread_.request_stop();
    thread_.join();
  }
  ::pthread_sigmask(SIG_SETMASK, &before_.mask, nullptr);
}

void SignalRelay::relay(std::function<void(int, bool)> handler) {
  thread_ = std::jthread([this, handler = std::move(handler)](const std::stop_token& stop) {
    const struct timespec slice{.tv_sec = 0, .tv_nsec = 100'000'000};
    while (!stop.stop_requested()) {
      siginfo_t info{};
      const int number = ::sigtimedwait(&taken_, &info, &slice);
      if (number > 0) handler(number, info.si_code == SI_KERNEL);
    }
  });
}

}  // namespace prony::app
