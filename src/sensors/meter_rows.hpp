// The catalogue's rows that read meters at the wall, each defined in the file of its sensor. As rows.hpp.
#pragma once

#include "sensors/sensor.hpp"

namespace prony {

[[nodiscard]] Probe make_plug(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_redfish(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_line_meter(Machine& machine, const SensorOptions& options);

}  // namespace prony
