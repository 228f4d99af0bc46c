// The times of inferences that trtexec writes (--exportTimes). Thread promise: pure but for reading the stream. Units:
// ns. Source: TensorRT's samples/common/sampleReporting.cpp.
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

namespace prony_engine {

struct ExportedTimes {
  std::string problem;                     // why there are none; empty: there are
  std::vector<std::int64_t> latencies_ns;  // one for each inference
  std::int64_t whole_ns = 0;               // from the begin of the first to the end of the last; 0: not told
};
[[nodiscard]] ExportedTimes read_exported_times(std::istream& in);

}  // namespace prony_engine
