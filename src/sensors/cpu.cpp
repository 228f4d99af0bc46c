// cpu: busy time of all CPUs together, and of each package where there are several.
// reads       cgroup v2 root cpu.stat (µs) or /proc/stat (10 ms), see busy_time.hpp; packages: package_busy.hpp
// unit        seconds of one CPU, counter;  period 1/HZ (4 ms at HZ = 250) or 10 ms;  wrap never
//             packages: 10 ms, or 100 ms where a read costs over 100 µs
// privilege   none;  part_of nothing
#include "sensors/busy_time.hpp"
#include "sensors/package_busy.hpp"
#include "sensors/rows.hpp"

namespace prony {

Probe make_cpu(Machine& machine, const SensorOptions&) {
  Channel channel;
  channel.name = "cpu.busy";
  channel.sensor = "cpu";
  channel.domain = "cpu";
  channel.measure = Measure::cpu_time;
  Probe probe = make_busy_sensor(machine, std::move(channel));
  if (!probe.sensor) return probe;
  if (auto packages = make_package_busy(machine, probe.unavailable)) probe.more.push_back(std::move(packages));
  return probe;
}

}  // namespace prony
