// parts: sensors
// Any text as an answer of a Raspberry Pi's firmware: numbers that are read are in their bounds, and whatever it says,
// it is words that can be printed.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sensors/raspberry_text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto rest = text;
  std::size_t lines = 0;
  while (const auto line = prony::next_line(rest)) {
    if (++lines > size + 1) std::abort();
    const auto rail = prony::rail_line(*line);
    if (rail && (rail->rail.empty() || rail->micro < 0 || rail->micro > 1'000'000'000)) std::abort();
  }
  for (const auto number : {prony::temperature_of(text), prony::frequency_of(text), prony::microvolts_of(text)})
    if (number && *number < 0) std::abort();
  const auto word = prony::throttled_of(text).value_or(0);
  if (prony::throttle_words(prony::throttled_now(word)).empty()) std::abort();
  if (prony::revision_words(prony::revision_of(text).value_or(word)).empty()) std::abort();
  if (prony::firmware_error(text).size() > 400) std::abort();
  return 0;
}
