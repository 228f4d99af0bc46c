// parts: sensors
// Any text as what tegrastats prints: no rail but with a label and a believable power, and every call moves on.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sensors/tegrastats.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto line = prony::last_tegrastats_line(text);
  for (const auto& part : {text, line}) {
    std::size_t at = 0, before = 0;
    while (const auto rail = prony::next_tegrastats_rail(part, at)) {
      if (at <= before || rail->label.empty()) std::abort();
      if (rail->now_mw > 10'000'000 || rail->now_mw < -10'000'000) std::abort();
      before = at;
    }
    for (const char* name : {"GR3D_FREQ", "EMC_FREQ"})
      if (const auto percent = prony::tegrastats_percent(part, name); percent && (*percent < 0 || *percent > 100))
        std::abort();
  }
  return 0;
}
