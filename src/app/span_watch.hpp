// When a Run's span file has to be looked at. Every wake-up costs more than what it carries: until somebody opens the
// file there is nothing to drain, and then it is looked at often enough for a ring that fills. For the first tenth of a
// second it is looked at without being watched, for a command that ends within it ends sooner so (see
// Recorder::watch_spans). The carrying thread's own.
#pragma once

#include <poll.h>

#include <utility>

#include "sampler/sampler.hpp"
#include "store/recorder.hpp"

namespace prony::app {

class SpanWatch {
 public:
  SpanWatch(Recorder* recorder, Sampler& sampler) : recorder_(recorder), sampler_(sampler) {}
  // Whether there may be spans: drain them, and look again soon.
  [[nodiscard]] bool may_come() const noexcept { return recorder_ != nullptr && may_come_; }
  // Asks the kernel and the file.
  void look() {
    if (recorder_ == nullptr || (watched_ && may_come_)) return;
    const bool first = !std::exchange(watched_, true);
    if (first) opened_ = recorder_->watch_spans();
    // Who opened it before it was watched is known by what it writes.
    may_come_ = opened_ < 0 || readable(opened_) || recorder_->spans_begun();
    if (first || may_come_) sampler_.also_wait_for(may_come_ ? -1 : opened_);
  }
  // Another file is recorded into, of which nobody was told.
  void stop() noexcept { recorder_ = nullptr; }

 private:
  static bool readable(int descriptor) {
    pollfd waited{descriptor, POLLIN, 0};
    return ::poll(&waited, 1, 0) > 0;
  }

  Recorder* recorder_;
  Sampler& sampler_;
  int opened_ = -1;
  bool watched_ = false, may_come_ = true;
};

}  // namespace prony::app
