// The perf PMU "power": the same RAPL registers as powercap's, extended to 64 bits by the kernel, all domains of a
// package in one read. Thread promise: as Machine; a group is read by one thread. Ownership: plain values.
// Errors: denied (perf_event_paranoid and capabilities), absent (no such PMU), malformed (a file of it is not what it
// should be). Source: arch/x86/events/rapl.c, Documentation/ABI/testing/sysfs-bus-event_source-devices-events.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "machine/machine.hpp"
#include "sensors/rapl_zones.hpp"

namespace prony {

struct RaplEvent {
  std::string name;  // "energy-pkg"
  RaplKind kind = RaplKind::other;
  PerfEvent event;
  double scale = 1;  // J per count
};

// One CPU of the PMU's cpumask and what it counts: one package, or one die of it.
struct RaplPerfUnit {
  unsigned cpu = 0;
  std::optional<unsigned> package, die;
  std::vector<RaplEvent> events;  // those that can be opened here, psys first, then package, core, uncore, dram

  [[nodiscard]] RaplDomain domain_of(const RaplEvent& event) const {
    return event.kind == RaplKind::psys ? RaplDomain{event.kind, {}, {}} : RaplDomain{event.kind, package, die};
  }
};

struct RaplPmu {
  std::vector<RaplPerfUnit> units;
  std::vector<Unavailable> strange;  // what the PMU shows that cannot be understood
};
// What the PMU says of itself; opens nothing. Events of the platform are the first unit's alone.
[[nodiscard]] Result<RaplPmu> find_rapl_pmu(Machine& machine);

// Opens the unit's events as one group and reads it once. Events that this processor refuses are taken out of the
// unit. Errors: as open_perf; those of the read (−EBUSY, −ENODEV, …).
[[nodiscard]] Result<std::unique_ptr<PerfGroup>> open_rapl_unit(Machine& machine, RaplPerfUnit& unit);

// Why reads of a group fail, in words.
[[nodiscard]] std::string perf_read_reason(int errno_value);

}  // namespace prony
