// One run of a study as a process of its own: a fresh `prony` in a fresh process group, watched until it ends, says
// nothing for too long, takes too long, or holds too much memory; then all of it is ended, whatever left its group too.
// Thread promise: one thread, the main one (children die with it). Units: nanoseconds, seconds.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "base/spawn.hpp"

namespace prony::app {

struct StudyChildPlan {
  std::vector<std::string> words;
  std::vector<std::pair<std::string, std::string>> environment;
  std::string log, progress;  // files: both outputs; where `prony llm` and `prony run` tell how far they are
  std::int64_t timeout_ns = 0, silence_ns = 0;  // 0: none
  std::uint64_t memory_limit = 0;               // bytes that its processes may hold together; 0: none
  SignalState signals;
};

struct StudyChildEnd {
  std::optional<int> exit_code;     // as the shell says it; absent: it was ended by us
  std::string reason;               // why it was ended; "": it ended by itself
  bool interrupted = false;         // by a signal to the study
  std::uint64_t out_of_memory = 0;  // processes of this machine that the kernel ended meanwhile for want of memory
  std::string memory_limit;         // how the limit was kept: "enforced: …" or "watched: why"; "": there was none
  double wall_s = 0;
};

// `stop` not 0: a signal came. `tick` is called a few times a second with what the run tells of its progress.
[[nodiscard]] Result<StudyChildEnd> run_study_child(const StudyChildPlan& plan, const std::atomic<int>& stop,
                                                    const std::function<void(const std::string&)>& tick);
// Once, before the first: orphans of what runs come to this process, which ends them.
void take_orphans() noexcept;

}  // namespace prony::app
