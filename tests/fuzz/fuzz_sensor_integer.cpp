// parts: sensors
// Any text as a sensor's value: refused, or exactly the integer that the strict reader of base/text.hpp sees.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "base/text.hpp"
#include "sensors/integer_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const char* text = reinterpret_cast<const char*>(data);
  for (const auto sign : {prony::IntegerSign::signed_64, prony::IntegerSign::unsigned_64}) {
    constexpr std::int64_t untouched = 0x5a5a5a5a;
    std::int64_t value = untouched;
    const auto fault = prony::parse_sensor_integer({text, size}, sign, value);
    if (fault != prony::ParseFault::none) {
      if (value != untouched) std::abort();
      continue;
    }
    if (sign == prony::IntegerSign::signed_64) {
      const auto same = prony::parse_i64({text, size});
      if (!same || *same != value) std::abort();
    } else {
      const auto same = prony::parse_u64({text, size});
      if (!same || *same != static_cast<std::uint64_t>(value)) std::abort();
    }
  }
  return 0;
}
