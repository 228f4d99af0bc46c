// Readings of an energy meter by eye: "BEFORE,AFTER[,STEP]" in kWh. A display that rounds to its step is off by half a
// step at most, at each reading; the two add up linearly: 1.234 and 1.236 kWh at 0.001 kWh are 7200 ± 3600 J. A meter
// that was set to zero (BEFORE is exactly 0) shows no rounded number then, so only its second reading is off: 0 and
// 0.002 kWh at 0.001 kWh are 7200 ± 1800 J. Joules; a bound, if the display
// rounds and does not cut. Pure. Errors: usage.
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "model/charge.hpp"

namespace prony::calibrate {

struct MeterReading {
  double before_kwh = 0, after_kwh = 0, step_kwh = 0;
};

// Without STEP: one unit of the last decimal place that is written.
[[nodiscard]] Result<MeterReading> parse_meter_reading(std::string_view text);
[[nodiscard]] Estimate joules_of(const MeterReading& reading);

}  // namespace prony::calibrate
