// Meters at several power supplies of one machine: those that the user marked so (option `supply`) are read as one
// sensor, whose first channel is the sum of their power: the whole machine. What each sees is a part of it.
// Meters that nobody marked are left as they are: whether they see halves or the same twice is not known.
// Units: the sum is in mW, a gap where any of them has none. Thread promise: join before the sampler starts; the sensor
// as Sensor. Ownership: the joined sensors are the new one's. Errors: told as Unavailable, nothing is joined then.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "machine/meter.hpp"
#include "sensors/sensor.hpp"

namespace prony {

// `sensors`: of all rows, as they were opened. `told`: why there is no sum, or that meters stand side by side.
void join_supplies(std::span<const Meter> meters, std::vector<std::unique_ptr<Sensor>>& sensors,
                   std::vector<Unavailable>& told);

}  // namespace prony
