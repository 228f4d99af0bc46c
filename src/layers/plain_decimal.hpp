// Decimals as recordings hold them by the million, "0.0361" or "5000.0": read without a general parser where that gives
// the same double. Up to 15 digits are a whole number that a double holds exactly, and so is the power of ten it is
// divided by; one division of two exact numbers rounds once, correctly (Clinger 1990, "How to read floating point
// numbers accurately"). Anything else is left to std::from_chars. Header only, any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace prony::layers {

struct PlainDecimal {
  double value = 0;
  const char* end = nullptr;  // behind its last digit
};

// -?(0|[1-9][0-9]*)(\.[0-9]+)? at `from`, of at most 15 digits. Absent: something else stands there, or more digits.
// Whoever calls looks at what stands behind it: digits may go on with an exponent.
[[nodiscard]] inline std::optional<PlainDecimal> plain_decimal(const char* from, const char* end) noexcept {
  constexpr std::array<double, 16> tens{1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                        1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  const bool negative = from < end && *from == '-';
  const char* at = from + (negative ? 1 : 0);
  std::uint64_t digits = 0;
  const auto run = [&] {
    const char* const first = at;
    for (; at < end; ++at) {
      const unsigned digit = static_cast<unsigned char>(*at) - unsigned{'0'};
      if (digit > 9) break;
      digits = digits * 10 + digit;  // past 15 digits it may wrap around: not used then
    }
    return static_cast<std::size_t>(at - first);
  };
  const char* const first = at;
  const std::size_t whole = run();
  if (whole == 0 || (whole > 1 && *first == '0')) return std::nullopt;
  std::size_t places = 0;
  if (at < end && *at == '.') {
    ++at;
    places = run();
    if (places == 0) return std::nullopt;
  }
  if (whole + places >= tens.size()) return std::nullopt;
  const double value = static_cast<double>(digits) / tens[places];
  return PlainDecimal{negative ? -value : value, at};
}

}  // namespace prony::layers
