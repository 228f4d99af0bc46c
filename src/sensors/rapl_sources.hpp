// Where RAPL counters are read on this machine: perf units that opened, and the powercap zones for what they do not
// cover; each physical domain once. Thread promise: one thread. Ownership: the units own their perf groups.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "sensors/rapl_perf.hpp"
#include "sensors/rapl_zones.hpp"

namespace prony {

struct RaplUnit {  // a CPU of the PMU whose events opened; events that mirror another unit's are taken out
  RaplPerfUnit what;
  std::unique_ptr<PerfGroup> group;
};

struct RaplSources {
  std::vector<RaplUnit> units;
  std::vector<RaplZone> zones;    // to be read by powercap; parents of mirrors are those that are read in their place
  RaplZones found;                // every zone there is: limits and units stand there also where perf is read
  std::optional<Error> refused;   // why perf gives nothing, or not all
  std::vector<Unavailable> dead;  // events that opened but count nothing
  std::vector<Unavailable> notes;
};
[[nodiscard]] RaplSources find_rapl_sources(Machine& machine);

}  // namespace prony
