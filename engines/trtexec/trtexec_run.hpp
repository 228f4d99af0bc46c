// One run of trtexec to its end: what it printed, and when it said that it was done measuring. It dies with this
// process. Thread promise: one thread. Units: ns on CLOCK_MONOTONIC, ms as trtexec writes them. Source: TensorRT's
// samples/common/sampleReporting.cpp and sampleInference.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace prony_engine {

struct TrtexecRun {
  std::string problem;           // why it is none; empty: it ended well
  std::string version;           // as its banner has it, "10.3.0"; empty: it has none
  std::int64_t measured_ns = 0;  // when it said that its inferences were over; 0: it did not
};
// `words`: the program and its arguments.
[[nodiscard]] TrtexecRun run_trtexec(const std::vector<std::string>& words);

}  // namespace prony_engine
