// WatchedEnds: how processes end that are not our children. A pidfd tells when; how is read from the process while it
// waits to be reaped (/proc/PID/stat, field 52), or from the pidfd afterwards (PIDFD_GET_INFO, Linux 6.15).
// And tell_ready(): the recording has begun, for whoever started us to measure beside it.
// Thread promise: made, asked and destroyed by one thread; the call-backs come from a thread of its own. Errors: absent
// (no such process). Sources: pidfd_open(2), proc(5), include/uapi/linux/pidfd.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "model/manifest.hpp"
#include "process/selector.hpp"

namespace prony::app {

struct WatchedEnd {
  std::string target;
  std::int64_t pid = 0;
  std::optional<int> wait_status;  // as wait(2) gives it; absent: nobody could tell
  std::string method;              // "pidfd", "/proc/PID/stat"

  [[nodiscard]] Event event(Instant at) const;  // "target-ended": "exit code 3", "killed by signal 11 (…)"
};

class WatchedEnds {
 public:
  // Those of `choices` that name a process by its number.
  [[nodiscard]] static Result<WatchedEnds> open(std::span<const TargetChoice> choices);
  WatchedEnds(WatchedEnds&&) noexcept = default;
  WatchedEnds& operator=(WatchedEnds&&) noexcept = default;
  WatchedEnds(const WatchedEnds&) = delete;
  WatchedEnds& operator=(const WatchedEnds&) = delete;
  ~WatchedEnds();

  // `ended` is called for each, then `all_ended` once.
  void watch(std::function<void(const WatchedEnd&)> ended, std::function<void()> all_ended);
  // Of the only process that was watched: "target" "exit_code" and "exit_signal". Ends the watch.
  [[nodiscard]] std::vector<Total> totals();

 private:
  struct Watched {
    WatchedEnd end;
    Fd pidfd, status;  // of the process; /proc/PID/stat of it
    bool over = false;
  };
  WatchedEnds() = default;
  void stop();

  std::vector<Watched> watched_;
  Fd wake_;
  std::jthread thread_;
};

// Where PRONY_READY_FD names a descriptor: two lines, the Run and the span file, and it is closed.
void tell_ready(const std::filesystem::path& run, const std::filesystem::path& spans);

}  // namespace prony::app
