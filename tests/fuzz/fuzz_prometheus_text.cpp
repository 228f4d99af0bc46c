// parts: sensors
// Any bytes as metrics: no sample without a name, a finite value and one line; and a text without its last line has the
// samples that come before it.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sensors/prometheus_text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::size_t all = 0;
  prony::for_each_metric(text, [&](const prony::MetricLine& line) {
    if (line.name.empty() || !std::isfinite(line.value)) std::abort();
    if (line.name.find('\n') != std::string_view::npos || line.labels.find('\n') != std::string_view::npos)
      std::abort();
    ++all;
  });
  const std::size_t last = text.rfind('\n');
  if (last == std::string_view::npos) return 0;
  std::size_t before = 0;
  prony::for_each_metric(text.substr(0, last), [&](const prony::MetricLine&) { ++before; });
  if (before > all || all - before > 1) std::abort();
  return 0;
}
