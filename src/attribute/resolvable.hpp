// Why a window has no joules: too short for the sensor, or the sensor was not there. Pure; seconds.
#pragma once

#include <optional>
#include <string>

#include "attribute/curve.hpp"

namespace prony::attribution {

// For a `measured` that is not resolvable: one sentence without a full stop.
[[nodiscard]] std::string why_not_resolvable(const Curve& curve, const Measured& measured, Interval window);

// Why nothing bounds what a counter recorded, which all the same is known: one sentence; "": it is bounded, or nothing
// is known.
[[nodiscard]] std::string why_unbounded(const Curve& curve);

// The length at which, at this mean power, the edges would be a quarter of the energy. No length helps where the sensor
// was not read: then nothing.
[[nodiscard]] std::optional<double> needed_s(const Curve& curve, const Measured& measured, Interval window);

// Why a modelled channel's figures are the model's own, without the clocks: one sentence without a full stop.
[[nodiscard]] std::string why_no_clock(const Attribution::State& state, const PowerModel& model);

}  // namespace prony::attribution
