// Meters at the wall together: they are opened alike, and what a machine measures inside itself is part of what it
// draws there. Thread promise: as Machine. Errors: those of the single meters become Unavailable, named "SENSOR.NAME".
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "machine/meter_port.hpp"
#include "sensors/sensor.hpp"

namespace prony {

// The Probe of the catalogue row `sensor`: each of the meters at that machine that is `ours`, opened; what cannot be is
// told.
using OpenMeter = std::function<Result<std::unique_ptr<Sensor>>(MeterPort& port, const Meter& meter, bool alone)>;
[[nodiscard]] Probe open_meters(Machine& machine, std::string_view sensor,
                                const std::function<bool(const Meter&)>& ours, const OpenMeter& open);

// Whether `sensor` reads meters and nobody named one of its kind: then nothing is missing, and a Run says nothing of
// it.
[[nodiscard]] bool unnamed_meter(Machine& machine, std::string_view sensor);

// Whether the channel is a meter's at the wall.
[[nodiscard]] bool at_the_wall(const Channel& channel);
// Where one meter sees the whole machine, every measured energy of the machine that is part of nothing becomes a part
// of it: never added to it. A battery is not: what it gives did not come through the wall now. Ids are those of
// `channels`.
void place_behind_the_wall(std::vector<Channel>& channels);

}  // namespace prony
