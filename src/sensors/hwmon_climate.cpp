// hwmon-climate: temperatures and fans of chips; a sensor apart from hwmon because they change slowly and some reads
// take milliseconds (an NVMe drive is asked by a command). reads       /sys/class/hwmon/hwmon*/temp*_input (1/1000 °C),
// fan*_input (rpm) period      chip's update_interval (ms), else not known;  privilege none;  part_of nothing source
// Documentation/hwmon/sysfs-interface.rst
#include "sensors/file_sensor.hpp"
#include "sensors/hwmon_chips.hpp"
#include "sensors/rows.hpp"

namespace prony {

Probe make_hwmon_climate(Machine& machine, const SensorOptions&) {
  FileSensorBuilder builder(machine);
  const auto chips = hwmon_chips(machine);
  for (const auto& chip : chips) {
    const auto interval_ms = probe_integer(machine, chip.path + "/update_interval");
    for (const bool fan : {false, true})
      for (const auto& input : chip.inputs(machine, fan ? "fan" : "temp", "_input")) {
        Channel channel;
        channel.sensor = "hwmon-climate";
        channel.device = chip.device;
        channel.domain = name_part(chip.name + "-" + input.label);
        channel.measure = fan ? Measure::fan_speed : Measure::temperature;
        channel.name =
            "hwmon." + chip.name + "." + name_part(input.label) + "." + std::string(to_string(channel.measure));
        if (builder.has(channel.name)) channel.name += "@" + std::to_string(input.index);
        channel.scale = fan ? 1 : 1e-3;
        if (interval_ms && *interval_ms > 0 && *interval_ms < 3'600'000)
          channel.update_period = milliseconds(*interval_ms);
        builder.add(std::move(channel), input.path);
      }
  }
  if (builder.size() == 0 && builder.unavailable().empty())
    builder.unavailable().push_back(
        {"hwmon-climate", chips.empty() ? "/sys/class/hwmon has no chips" : "no chip here has a thermometer or fan",
         "load the chip's driver (sudo sensors-detect finds it)"});
  return builder.finish(LaneKind::slow);
}

}  // namespace prony
