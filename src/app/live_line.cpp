#include "app/live_line.hpp"

#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>

#include "app/common.hpp"
#include "reports/live_line.hpp"

namespace prony::app {

namespace {

// An editor, a pager, a prompt for a password: the terminal is the command's, a line of ours would be in its picture.
bool taken_by_command() {
  struct termios state{};
  return ::tcgetattr(STDERR_FILENO, &state) == 0 && (state.c_lflag & (ICANON | ECHO)) != (ICANON | ECHO);
}

}  // namespace

LiveLine::LiveLine(Session& session, std::string kind, bool quiet) : session_(session), kind_(std::move(kind)) {
  const char* term = std::getenv("TERM");
  const bool dumb = term != nullptr && std::string_view(term) == "dumb";
  if (!quiet && !dumb && ::isatty(STDERR_FILENO) == 1)
    thread_ = std::jthread([this](const std::stop_token& stop) { show(stop); });
}

LiveLine::~LiveLine() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void LiveLine::update(const Progress& progress) {
  const std::scoped_lock lock(mutex_);
  progress_ = progress;
}

void LiveLine::show(const std::stop_token& stop) {
  using clock = std::chrono::steady_clock;
  const auto began = clock::now();
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  bool shown = false;
  while (!wake.wait_for(lock, stop, std::chrono::milliseconds(shown ? 500 : 1000),
                        [&] { return stop.stop_requested(); })) {
    if (taken_by_command()) {
      shown = false;
      continue;
    }
    LiveStatus status;
    {
      const std::scoped_lock progress_lock(mutex_);
      status.done = progress_.done;
      status.total = progress_.total;
      status.tokens_per_s = progress_.tokens_per_s;
      status.note = progress_.note;
    }
    status.elapsed_s = std::chrono::duration<double>(clock::now() - began).count();
    const double watts = session_.watts_now(status.power_mark);
    if (watts >= 0) status.power_w = watts;
    status.simulated = session_.simulated();
    const std::string line = "\r\x1b[2K" + live_line(status, terminal_of(STDERR_FILENO).width);
    (void)::write(STDERR_FILENO, line.data(), line.size());
    shown = true;
  }
  if (shown && !taken_by_command()) (void)::write(STDERR_FILENO, "\r\x1b[2K", 5);
}

}  // namespace prony::app
