// Drives a worker through loops of parts of a network, one after another (capability `isolate` of
// docs/worker-protocol.md): a part is loaded, tried, left to cool, left idle, and run over and over for so long as was
// asked. First the whole network runs once, and what flows in it is kept by the worker as what the parts are fed with.
// Knows nothing of energy. Thread promise: command() then run() from one thread; cancel() from any. Errors: a worker
// that cannot be driven, a network that does not run. A part that does not run is no error: its reason becomes a fact,
// and the others go on; where it takes the worker with it, the run ends there, with a failure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "workloads/workload.hpp"

namespace prony {

struct NetworkLoop {
  std::string id;            // in the names of its phases
  double expected_s = 0;     // of one run
  std::int64_t loop_ns = 0;  // how long it runs, and how long it is idle before
};

struct NetworkTensor {
  std::int32_t type = 0;  // ONNX's number of the element type
  std::vector<std::int64_t> shape;
};

struct NetworkLoopOptions {
  std::vector<std::string> arguments;  // the worker's program and its arguments
  std::string whole;                   // a file of the network that has every tensor among its outputs
  std::int32_t threads = 1;
  std::map<std::string, std::vector<std::int64_t>> shapes;  // of inputs that the file leaves open
  std::vector<NetworkLoop> loops;
  std::int64_t warm_up = 5, cool_down_ns = 1'000'000'000;
  std::int64_t timeout_ns = 600'000'000'000;  // for loading; for a loop beyond its own length
  // The file of a loop's part, made when its turn comes; taken away again when the next one's is asked for.
  std::function<Result<std::string>(std::size_t loop, const std::map<std::string, NetworkTensor>& tensors)> part;
};

// Phases, each followed by the loop's id. The loop's has the count `runs`. After the last loop: idle_phase + "end".
inline constexpr const char* loop_phase = "loop:";
inline constexpr const char* idle_phase = "idle:";
inline constexpr const char* trial_phase = "trial:";
inline constexpr const char* cool_down_phase = "cool-down";
// A fact with the id behind it: why this part has no loop.
inline constexpr const char* loop_reason_fact = "layers.no-loop.";

[[nodiscard]] std::unique_ptr<Workload> make_network_loops(NetworkLoopOptions options);

}  // namespace prony
