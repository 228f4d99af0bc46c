// parts: machine
// Any text as a power curve or a simulated machine: refused, or a curve whose energy is finite, never falls, and lies
// between the least and the most power times the time; and whose own words are read again.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "machine/power_curve.hpp"
#include "machine/room.hpp"
#include "machine/sensor_view.hpp"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void hold(const prony::PowerCurve& curve, prony::Duration from, prony::Duration to) {
  const double joules = curve.joules(from, to).value(), seconds = (to - from).seconds().value();
  const double least = curve.least(from, to).value(), most = curve.most(from, to).value();
  const double slack = 1e-9 * (1 + most * (seconds + 1));
  require(std::isfinite(joules) && least <= most + slack);
  require(joules >= least * seconds - slack && joules <= most * seconds + slack);
  require(curve.watts(from).value() >= least - slack && curve.watts(from).value() <= most + slack);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::int64_t at = 0;
  if (size >= sizeof at) std::memcpy(&at, data + size - sizeof at, sizeof at);
  const std::string_view text(reinterpret_cast<const char*>(data), size > sizeof at ? size - sizeof at : size);
  (void)prony::parse_room_choice(text);
  const auto curve = prony::PowerCurve::parse(text);
  if (!curve) return 0;
  const prony::Duration from{at % (std::int64_t{1} << 50)}, length{std::abs(at % 5'000'000'000)};
  hold(*curve, from, from + length);
  const prony::GaugeView gauge{.updates = {}, .window = prony::milliseconds(10)};
  require(gauge.raw(*curve, from) >= -1);
  if (text.find("steps") != std::string_view::npos) return 0;  // steps a nanosecond apart merge in text
  const auto again = prony::PowerCurve::parse(curve->text());
  require(again && again->text() == curve->text());
  return 0;
}
