// cpufreq: the clock of each frequency policy (a set of CPUs that share one).
// reads       /sys/devices/system/cpu/cpufreq/policy*/scaling_cur_freq (kHz)
// period      the governor's, or on x86 the mean over the last tick in which the CPU ran; not documented
// privilege   none;  part_of nothing;  source Documentation/admin-guide/pm/cpufreq.rst
#include "sensors/file_sensor.hpp"
#include "sensors/rows.hpp"

namespace prony {

Probe make_cpufreq(Machine& machine, const SensorOptions&) {
  const std::string top = "/sys/devices/system/cpu/cpufreq";
  FileSensorBuilder builder(machine);
  bool any = false;
  for (const auto& name : machine.list(top).value_or(std::vector<std::string>{})) {
    if (!name.starts_with("policy")) continue;
    any = true;
    Channel channel;
    channel.sensor = "cpufreq";
    channel.device = name;
    channel.domain = name;
    channel.name = "cpufreq." + name + ".frequency";
    channel.measure = Measure::frequency;
    channel.scale = 1e3;
    builder.add(std::move(channel), top + "/" + name + "/scaling_cur_freq");
  }
  if (!any)
    builder.unavailable().push_back({"cpufreq", "the kernel has no frequency driver here",
                                     "usual in a virtual machine; on hardware load the driver"});
  return builder.finish(LaneKind::slow);
}

}  // namespace prony
