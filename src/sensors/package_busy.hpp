// Busy time of each package: the lines of /proc/stat that tell of one CPU, summed by the package that each lies in.
// Only where there are several packages. Counts are 10 ms (USER_HZ) of one CPU; the kernel moves them at its tick, and
// at every read they are brought to what the package's CPUs did not idle (busy_by_idle.hpp).
// A CPU that goes off loses its line, and what it had used stays in the sum; one that comes is known within a second,
// and counts from then on. Thread promise: as Sensor. The Machine must outlive it.
// Source: proc(5), fs/proc/stat.c.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "machine/cpu_packages.hpp"
#include "sensors/busy_by_idle.hpp"
#include "sensors/sensor.hpp"

namespace prony {

// Null where there is one package, or none is told; `unavailable` then says why if there are several.
[[nodiscard]] std::unique_ptr<Sensor> make_package_busy(Machine& machine, std::vector<Unavailable>& unavailable);

// One line such as "cpu12 17 0 4 900 0 1 2 0 0 0\n" from `at`, which moves behind it. nullopt: it is cut, or
// no such line. For tests.
struct CpuLine {
  std::int64_t cpu = 0, ticks = 0;
  CpuTimes times;
};
[[nodiscard]] std::optional<CpuLine> next_cpu_line(std::string_view text, std::size_t& at) noexcept;

}  // namespace prony
