// parts: sensors
// Any bytes as a BMC's answer, and as what ipmitool printed: what is read is in its bounds, and every refusal has
// words.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "sensors/ipmi_dcmi.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto answered = prony::dcmi_power(std::span(data, size));
  if (answered && (answered->now_w > 65'535 || answered->average_w > 65'535 || data[0] != 0)) std::abort();
  if (size > 0 && prony::ipmi_completion_words(data[0]).empty()) std::abort();
  const auto printed = prony::dcmi_power(std::string_view(reinterpret_cast<const char*>(data), size));
  if (printed && size < 30) std::abort();
  return 0;
}
