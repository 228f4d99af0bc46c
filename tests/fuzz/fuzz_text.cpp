// parts: base
// Any text at all into base/text.hpp: no crash, no over-read, and what is read back from what was written is the same.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/text.hpp"

namespace {
void require(bool holds) {
  if (!holds) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto number = prony::parse_finite(text)) {
    require(std::isfinite(*number));
    const auto again = prony::parse_finite(prony::format_number(*number));
    require(again && *again == *number);
  }
  const auto natural = prony::parse_u64(text);
  const auto integer = prony::parse_i64(text);
  if (natural && integer) require(*integer >= 0 && static_cast<std::uint64_t>(*integer) == *natural);
  if (natural) require(prony::parse_u64(std::to_string(*natural)) == natural);
  (void)prony::parse_duration_ns(text);
  std::size_t bytes = 0;
  prony::for_each_line(text, [&](std::string_view line) {
    bytes += line.size();
    require(line.find('\n') == std::string_view::npos);
  });
  require(bytes <= size);
  std::size_t parts = 0;
  for (const auto part : prony::split(text, ',')) parts += part.size() + 1;
  require(parts == size + 1);
  const std::size_t columns = size % 50 + 1;
  require(prony::display_width(prony::printable(text, columns)) <= columns);
  require(prony::csv_field(text).size() >= size);
  (void)prony::nearest_name(text.substr(0, 40), {"interval", "sysfs", "tag"});
  return 0;
}
