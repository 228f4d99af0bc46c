// parts: trtexec_times
// Any bytes as the times that trtexec wrote: none, with a reason, or times that can be.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>

#include "exported_times.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream in(std::string(reinterpret_cast<const char*>(data), size));
  const prony_engine::ExportedTimes times = prony_engine::read_exported_times(in);
  if (times.problem.empty() == times.latencies_ns.empty() || times.whole_ns < 0) std::abort();
  for (const std::int64_t one : times.latencies_ns)
    if (one < 0) std::abort();
  return 0;
}
