// parts: onnx_profile
// Any lines as ONNX Runtime's profile: every node of a run is among the nodes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>

#include "profile.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream in(std::string(reinterpret_cast<const char*>(data), size));
  const prony_engine::Profile profile = prony_engine::read_profile(in);
  for (const auto& run : profile.runs)
    for (const auto& one : run.nodes)
      if (one.node >= profile.nodes.size()) std::abort();
  return 0;
}
