// hwmon-climate: temperatures and fans of chips; a sensor apart from hwmon because they change slowly and some reads
// take milliseconds (an NVMe drive is asked by a command).
// reads       /sys/class/hwmon/hwmon*/temp*_input (1/1000 °C), fan*_input (rpm)
// period      chip's update_interval (ms), else not documented;  privilege none;  part_of nothing
// bound       a chip with a package temperature and over 8 of single cores shows the cores only on request (coretemp's
//             package temperature is that of its hottest core)
// source      Documentation/hwmon/sysfs-interface.rst, coretemp.rst
#include <algorithm>

#include "sensors/file_sensor.hpp"
#include "sensors/hwmon_chips.hpp"
#include "sensors/rows.hpp"

namespace prony {

namespace {

constexpr std::ptrdiff_t most_cores = 8;

bool is_core(const HwmonInput& input) { return input.label.starts_with("Core "); }

// Temperatures or fans of a chip, without its cores where there are many.
std::vector<HwmonInput> inputs_of(Machine& machine, const HwmonChip& chip, bool fan, bool every_channel) {
  auto inputs = chip.inputs(machine, fan ? "fan" : "temp", "_input");
  const bool package = std::any_of(inputs.begin(), inputs.end(),
                                   [](const auto& input) { return input.label.starts_with("Package id"); });
  if (package && !every_channel && std::count_if(inputs.begin(), inputs.end(), is_core) > most_cores)
    std::erase_if(inputs, is_core);
  return inputs;
}

}  // namespace

Probe make_hwmon_climate(Machine& machine, const SensorOptions& options) {
  FileSensorBuilder builder(machine);
  const auto chips = hwmon_chips(machine);
  for (const auto& chip : chips) {
    const auto interval_ms = probe_integer(machine, chip.path + "/update_interval");
    for (const bool fan : {false, true})
      for (const auto& input : inputs_of(machine, chip, fan, options.every_channel)) {
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
