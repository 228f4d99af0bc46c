#include "sensors/wall.hpp"

#include <algorithm>
#include <string>

namespace prony {

Probe open_meters(Machine& machine, std::string_view sensor, const std::function<bool(const Meter&)>& ours,
                  const OpenMeter& open) {
  Probe probe;
  MeterPort* port = meter_port(machine);
  const std::vector<Meter> meters = port == nullptr ? std::vector<Meter>{} : port->meters();
  for (const Meter& meter : meters) {
    if (!ours(meter)) continue;
    auto opened = open(*port, meter, meters.size() == 1 && !meter.has("supply"));
    if (!opened) {
      const Error& error = opened.error();
      const std::string where = error.where.empty() ? meter.address : error.where;
      probe.unavailable.push_back({std::string(sensor) + "." + meter.name, where + ": " + error.what, error.fix});
    } else if (!probe.sensor) {
      probe.sensor = std::move(*opened);
    } else {
      probe.more.push_back(std::move(*opened));
    }
  }
  if (!probe.sensor && probe.unavailable.empty())
    probe.unavailable.push_back({std::string(sensor), "none was named (--meter; `prony help meters`)", {}});
  return probe;
}

bool unnamed_meter(Machine& machine, std::string_view sensor) {
  const MeterPort* port = meter_port(machine);
  if (sensor != "plug" && sensor != "redfish" && sensor != "line-meter") return false;
  const std::vector<Meter> meters = port == nullptr ? std::vector<Meter>{} : port->meters();
  return std::ranges::none_of(meters, [&](const Meter& meter) {
    return sensor == (meter.kind == MeterKind::redfish ? "redfish" : meter.lines() ? "line-meter" : "plug");
  });
}

bool at_the_wall(const Channel& channel) {
  return gives_energy(channel) && !channel.model && (channel.domain == "wall" || channel.domain.starts_with("wall:"));
}

void place_behind_the_wall(std::vector<Channel>& channels) {
  const auto whole = [](const Channel& c) { return at_the_wall(c) && c.coverage_known && !c.part_of; };
  const auto wall = std::ranges::find_if(channels, whole);
  if (wall == channels.end() || std::ranges::count_if(channels, whole) != 1) return;
  for (Channel& channel : channels) {
    const bool inside = gives_energy(channel) && channel.scope == Scope::host && !channel.part_of && !channel.model &&
                        channel.origin != Origin::modelled && !at_the_wall(channel) && channel.sensor != "power_supply";
    if (inside) channel.part_of = wall->id;
  }
}

}  // namespace prony
