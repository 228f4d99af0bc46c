// Workload: what is measured or what drives it. It always runs in another process; the meter is never the workload.
// One file, one catalogue row, one test, one docs page each. It knows nothing of energy: it makes processes and spans.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/spawn.hpp"

namespace prony {

struct Progress {
  std::size_t done = 0, total = 0;  // requests
  double tokens_per_s = 0;          // of the last request; 0 = not known
  std::string note;                 // "loading", "warm-up", …
  bool in_request = false;          // one that counts is under way
  std::int32_t round = 0;           // its repeat, from 1; 0: not known
};

// How a workload ended. `failures`: one line each, in order; empty = all went well.
struct WorkloadOutcome {
  ExitStatus exit;
  std::size_t requests_ok = 0, requests_failed = 0;
  std::size_t requests_cancelled = 0;  // called off by their client, as was asked: neither of the two
  std::vector<std::string> failures;
  std::vector<std::pair<std::string, std::string>> facts;  // for the manifest: engine version, model, threads in effect
  std::vector<std::string> answers;                        // per request, if kept
};

class Workload {
 public:
  virtual ~Workload() = default;
  // What to spawn; the app adds the span file, the tree's rung and holds it until sensors run.
  [[nodiscard]] virtual SpawnOptions command() = 0;
  // The child was released: drive it to its end. Blocks. Reaps the child.
  [[nodiscard]] virtual Result<WorkloadOutcome> run(Child& child,
                                                    const std::function<void(const Progress&)>& progress) = 0;
  // From any thread: begin no further request; the one in hand goes on to its end, then run() returns. A workload that
  // is one piece has nothing further to begin.
  virtual void finish_early() noexcept {}
  // From a signal-handling thread: stop as soon as may be; run() then returns.
  virtual void cancel(int signal) noexcept = 0;
};

}  // namespace prony
