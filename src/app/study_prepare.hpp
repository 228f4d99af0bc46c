// What a study needs and makes itself where it is missing. Beside such a file lies ".NAME.unfinished" from before its
// command begins until what it made is on the disk: so a file that was cut off half-way, by a kill, a cut of power or a
// command that failed, is never taken for a whole one, and of two studies that need it one makes it. Thread promise:
// one thread. Errors: as of files.
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace prony::app {

class Making {
 public:
  // Nothing: it is there, whole. Waits while another study makes it; nothing, too, when `stop` ends that. What was left
  // half made is kept as NAME.half.
  [[nodiscard]] static Result<std::optional<Making>> begin(const std::string& makes, const std::atomic<int>& stop);
  // It is whole, and stays so whatever happens to the machine.
  [[nodiscard]] Result<void> finish();

 private:
  Making(std::string makes, std::string marker, Fd held)
      : makes_(std::move(makes)), marker_(std::move(marker)), held_(std::move(held)) {}
  std::string makes_, marker_;
  Fd held_;  // locked: whoever else needs it waits
};

}  // namespace prony::app
