#include "calibrate/meter.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/text.hpp"

namespace prony::calibrate {

namespace {

constexpr double joules_per_kwh = 3.6e6, most_kwh = 1e9;

double last_place(std::string_view number) {
  const std::size_t point = number.find('.');
  return point == std::string_view::npos ? 1 : std::pow(10.0, -static_cast<double>(number.size() - point - 1));
}

}  // namespace

Result<MeterReading> parse_meter_reading(std::string_view text) {
  const auto refused = [&](const char* why) {
    return fail(ErrorCode::usage, "'" + printable(text, 60) + "' " + why, "--meter-kwh",
                "Write what the meter showed before and after, and its step:  --meter-kwh 0,0.002,0.001");
  };
  const auto parts = split(text, ',');
  if (parts.size() < 2 || parts.size() > 3) return refused("is not BEFORE,AFTER[,STEP] in kWh");
  MeterReading reading;
  const auto before = parse_finite(parts[0]), after = parse_finite(parts[1]);
  if (!before || !after || *before < 0 || *after > most_kwh) return refused("holds no two readings in kWh");
  if (*after < *before) return refused("goes backwards");
  reading = {*before, *after, std::min(last_place(trim(parts[0])), last_place(trim(parts[1])))};
  if (parts.size() == 3) {
    const auto step = parse_finite(parts[2]);
    if (!step || *step <= 0) return refused("has no step above zero");
    reading.step_kwh = *step;
  }
  return reading;
}

Estimate joules_of(const MeterReading& reading) {
  const double readings_off = reading.before_kwh == 0 ? 1 : 2;
  const double value = (reading.after_kwh - reading.before_kwh) * joules_per_kwh;
  const double half = readings_off * reading.step_kwh / 2 * joules_per_kwh;
  return {value, std::max(0.0, value - half), value + half, EstimateKind::bound};
}

}  // namespace prony::calibrate
