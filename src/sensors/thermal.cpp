// thermal: temperatures of the kernel's thermal zones.
// reads       /sys/class/thermal/thermal_zone*/temp (1/1000 °C); name from `type`
// period      not documented, some zones ask firmware (ACPI) and take milliseconds: slow lane
// privilege   none;  part_of nothing;  source Documentation/driver-api/thermal/sysfs-api.rst
#include <map>

#include "sensors/file_sensor.hpp"
#include "sensors/rows.hpp"

namespace prony {

Probe make_thermal(Machine& machine, const SensorOptions&) {
  FileSensorBuilder builder(machine);
  std::map<std::string, int> seen;
  struct Zone {
    std::string path, device, type;
  };
  std::vector<Zone> zones;
  for (const auto& name : machine.list("/sys/class/thermal").value_or(std::vector<std::string>{})) {
    if (!name.starts_with("thermal_zone")) continue;
    const auto path = "/sys/class/thermal/" + name;
    const auto type = machine.read_text(path + "/type");
    zones.push_back({path, name, name_part(type && !type->empty() ? *type : name)});
    ++seen[zones.back().type];
  }
  for (const auto& zone : zones) {
    Channel channel;
    channel.sensor = "thermal";
    channel.device = zone.device;
    // Several zones of one type (two packages): the zone's number tells them apart.
    channel.domain = seen[zone.type] > 1 ? zone.type + "-" + zone.device.substr(12) : zone.type;
    channel.name = "thermal." + channel.domain + ".temperature";
    channel.measure = Measure::temperature;
    channel.scale = 1e-3;
    builder.add(std::move(channel), zone.path + "/temp");
  }
  if (zones.empty())
    builder.unavailable().push_back({"thermal", "no thermal zone in /sys/class/thermal", "usual in a virtual machine"});
  return builder.finish(LaneKind::slow);
}

}  // namespace prony
