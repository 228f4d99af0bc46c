// How many watts of a RAPL domain are believable for longer than a few milliseconds: the bound that tells a reset from
// a wrap and closes intervals after gaps. W. Readers allow this rate over the time between two readings and over two
// update periods or 10 ms more, so that peaks above it (several times the design power, for milliseconds) are no
// resets. Thread promise: pure functions and reads of files. Source: docs/sensors/rapl.md, which derives the figures.
#pragma once

#include <optional>

#include "sensors/rapl_zones.hpp"

namespace prony {

// What powercap documents of a zone; a figure is absent where the zone has none or states "no limit".
struct RaplLimits {
  std::optional<double> design_w;         // constraint_*_max_power_uw of the long term: the design power
  std::optional<double> largest_limit_w;  // the largest limit of any constraint, and the largest that one may be set to
};
[[nodiscard]] RaplLimits read_rapl_limits(Machine& machine, const std::string& zone_path);

// `own`: of the domain's zone; `package`: of the package that it lies in.
[[nodiscard]] double believable_rapl_w(RaplKind kind, const RaplLimits& own, const RaplLimits& package);

}  // namespace prony
