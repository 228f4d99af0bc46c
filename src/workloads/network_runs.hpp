// Drives a worker that runs networks (capability `infer` of docs/worker-protocol.md): loads one, runs it so many times,
// then runs it again with its nodes timed, in a session of its own, so that what the profiler costs stays out of what
// is told end to end. Knows nothing of energy. Thread promise: command() then run() from one thread; cancel() from any.
// Errors: a worker that cannot be driven, a network that does not load or run; a Run then has what came before.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "workloads/workload.hpp"

namespace prony {

struct NetworkNodeTimes {
  std::string name, op, provider;
  std::vector<std::int64_t> durations_ns;  // one for each profiled run
};

struct NetworkRunTimes {
  std::string part;
  std::vector<std::int64_t> plain_ns, profiled_ns;  // end to end, one for each run
  std::vector<NetworkNodeTimes> nodes;              // in the order of their first execution
  std::int64_t nested_events = 0;                   // within If, Loop and Scan: in those nodes' own times
};

struct NetworkRunOptions {
  std::vector<std::string> arguments;  // the worker's program and its arguments
  std::string model;
  std::int32_t threads = 1;
  std::map<std::string, std::vector<std::int64_t>> shapes;  // of inputs that the file leaves open
  std::int64_t runs = 50, profiled_runs = 50, warm_up = 5;
  std::int64_t timeout_ns = 600'000'000'000;    // for loading, and for each of the two series
  std::string profile_prefix, optimised_model;  // files in a folder of the caller's, who removes them
  // Of a language model "prefill" and "decode", each in series of its own; of a network the whole, "".
  std::vector<std::string> parts{""};
  std::int64_t tokens = 0;  // of a prompt; 0: there is none
  // Called when all ran: facts for the manifest.
  std::function<std::vector<std::pair<std::string, std::string>>(const std::vector<NetworkRunTimes>&)> describe;
};

// The phase span of the series that counts, and of the one with timed nodes; of a part with "-" and its name.
inline constexpr const char* plain_phase = "runs";
inline constexpr const char* profiled_phase = "profiled-runs";

[[nodiscard]] std::unique_ptr<Workload> make_network_runs(NetworkRunOptions options);

}  // namespace prony
