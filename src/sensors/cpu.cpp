// cpu: busy time of all CPUs together.
// reads       cgroup v2 root cpu.stat (µs) or /proc/stat (10 ms), see busy_time.hpp
// unit        seconds of one CPU, counter;  period 1/HZ (4 ms at HZ = 250) or 10 ms;  wrap never
// privilege   none;  part_of nothing
#include "sensors/busy_time.hpp"
#include "sensors/rows.hpp"

namespace prony {

Probe make_cpu(Machine& machine, const SensorOptions&) {
  Channel channel;
  channel.name = "cpu.busy";
  channel.sensor = "cpu";
  channel.domain = "cpu";
  channel.measure = Measure::cpu_time;
  return make_busy_sensor(machine, std::move(channel));
}

}  // namespace prony
