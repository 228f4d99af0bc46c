// parts: workloads
// Any bytes as a trace: an error that names file and line, or requests in the order of their times, each of which can
// be sent.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "workloads/trace.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const double scale : {1.0, 1e-3, 1e3}) {
    const auto trace = prony::parse_trace(text, "t", scale);
    if (!trace) {
      if (trace.error().what.empty() || trace.error().where.empty()) std::abort();
      continue;
    }
    if (trace->entries.empty()) std::abort();
    std::int64_t last_ns = 0;
    for (const auto& entry : trace->entries) {
      if (entry.at_ns < last_ns || (entry.text.empty() && entry.prompt_tokens <= 0)) std::abort();
      if (entry.output_tokens && *entry.output_tokens <= 0) std::abort();
      last_ns = entry.at_ns;
    }
  }
  return 0;
}
