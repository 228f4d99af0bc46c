// rapl: energy counters of processor packages and what is inside them, through the kernel's powercap interface.
// reads       /sys/class/powercap/intel-rapl*/energy_uj (Intel, and AMD since Zen), all sockets, all zones
// unit        µJ; one count of the hardware is about 61 µJ (Intel, 2^-14 J) or 15 µJ (AMD, 2^-16 J)
// period      about 1 ms with jitter, no time stamp (Khan et al., 2018, RAPL in Action)
// wrap        32-bit register: max_energy_range_uj is its largest value, so it wraps one count above that
// privilege   root only since 2020 (CVE-2020-8694); then the reason and a chmod are given
// part_of     core, uncore < package; package, dram < psys where there is one; dram is not inside package
// source      Documentation/power/powercap/powercap.rst, drivers/powercap/intel_rapl_common.c
#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "machine/machine.hpp"
#include "sensors/file_sensor.hpp"
#include "sensors/rows.hpp"

namespace prony {

namespace {

constexpr std::string_view top = "/sys/class/powercap";
constexpr const char* chmod_remedy =
    "sudo chmod a+r /sys/class/powercap/intel-rapl*/energy_uj   (for all users, until reboot; since 2020 Linux lets "
    "only "
    "root read it)";
// No package draws more; a bound this loose still tells a reset from a wrap of 65 kJ or more.
constexpr double default_max_w = 1000;
constexpr double platform_max_w = 4000;
// Peaks above the thermal design power that the first constraint states: turbo limits go to about 2.5 times, laptops
// to 4 times.
constexpr double peak_over_design = 4;

struct Zone {
  std::string id;      // "intel-rapl:0:0"
  std::string path;    // "/sys/class/powercap/intel-rapl:0:0"
  std::string name;    // "core"
  std::string parent;  // id, empty for a top-level zone
};

bool is_zone_id(std::string_view name) {
  return name.starts_with("intel-rapl") && name.find(':') != std::string_view::npos;
}

// Zones below `directory`. The class directory is flat (links to every zone) and each zone's own directory holds its
// children again: an id that was seen is not taken twice.
void collect(Machine& machine, const std::string& directory, const std::string& parent, int depth,
             std::map<std::string, Zone>& zones) {
  const auto entries = machine.list(directory);
  if (!entries || depth > 4) return;
  for (const auto& entry : *entries) {
    if (!entry.starts_with("intel-rapl")) continue;
    const auto path = directory + "/" + entry;
    if (!is_zone_id(entry)) {  // a control type: "intel-rapl", "intel-rapl-mmio"
      collect(machine, path, {}, depth + 1, zones);
      continue;
    }
    const auto name = machine.read_text(path + "/name");
    if (name && !name->empty()) {
      auto& zone = zones.try_emplace(entry, Zone{entry, path, *name, parent}).first->second;
      if (zone.parent.empty()) zone.parent = parent;
    }
    collect(machine, path, entry, depth + 1, zones);
  }
}

// "intel-rapl:0:1" is inside "intel-rapl:0", also where the tree is flat.
void link_by_id(std::map<std::string, Zone>& zones) {
  for (auto& [id, zone] : zones) {
    const auto above = id.substr(0, id.rfind(':'));
    if (zone.parent.empty() && zones.contains(above)) zone.parent = above;
  }
}

// intel-rapl-mmio shows the package of intel-rapl through other registers: the same joules, counted once.
void drop_duplicates(std::map<std::string, Zone>& zones) {
  const auto shown_elsewhere = [&](const Zone& zone) {
    return std::any_of(zones.begin(), zones.end(), [&](const auto& entry) {
      return entry.second.id.starts_with("intel-rapl:") && entry.second.parent.empty() &&
             entry.second.name == zone.name;
    });
  };
  std::vector<std::string> dropped;
  for (const auto& [id, zone] : zones)
    if (!id.starts_with("intel-rapl:") && zone.parent.empty() && shown_elsewhere(zone)) dropped.push_back(id);
  for (const auto& id : dropped)
    std::erase_if(zones, [&](const auto& entry) { return entry.first == id || entry.first.starts_with(id + ":"); });
}

// "package-0" stays; "core" inside "package-0-die-1" becomes "core-0-die-1".
std::string domain_of(const Zone& zone, const std::map<std::string, Zone>& zones) {
  const auto parent = zones.find(zone.parent);
  if (parent == zones.end()) return name_part(zone.name);
  const std::string& above = parent->second.name;
  if (above.starts_with("package")) return name_part(zone.name + above.substr(7));
  return name_part(zone.name + "-" + above);
}

Channel channel_of(Machine& machine, const Zone& zone, const std::map<std::string, Zone>& zones) {
  Channel channel;
  channel.sensor = "rapl";
  channel.device = zone.id;
  channel.domain = domain_of(zone, zones);
  channel.name = "rapl." + channel.domain + ".energy";
  channel.measure = Measure::energy;
  channel.kind = ChannelKind::counter;
  channel.scale = 1e-6;
  channel.update_period = milliseconds(1);
  if (const auto largest = probe_integer(machine, zone.path + "/max_energy_range_uj"); largest && *largest > 0) {
    // The driver gives (2^32 − 1) counts in µJ, the counter wraps at 2^32 counts: one count above.
    const double count_uj = std::max(1.0, static_cast<double>(*largest) / 4294967295.0);
    channel.resolution = count_uj;
    channel.range = static_cast<std::uint64_t>(*largest) + static_cast<std::uint64_t>(count_uj + 0.5);
  }
  const auto package = zones.find(zone.parent);
  const auto& limits = package == zones.end() ? zone.path : package->second.path;
  const auto design_uw = probe_integer(machine, limits + "/constraint_0_max_power_uw");
  const double design_w = design_uw && *design_uw > 0 ? static_cast<double>(*design_uw) * 1e-6 : 0;
  channel.max_rate = std::max(zone.name == "psys" ? platform_max_w : default_max_w, peak_over_design * design_w);
  return channel;
}

// psys first, then each package followed by what is inside it.
std::vector<const Zone*> in_order(const std::map<std::string, Zone>& zones, const std::vector<std::string>& ids) {
  std::vector<const Zone*> order;
  const auto add_with_children = [&](const Zone& zone) {
    order.push_back(&zone);
    for (const auto& id : ids)
      if (zones.at(id).parent == zone.id) order.push_back(&zones.at(id));
  };
  for (const bool platform : {true, false})
    for (const auto& id : ids) {
      const auto& zone = zones.at(id);
      if (zone.parent.empty() && (zone.name == "psys") == platform) add_with_children(zone);
    }
  return order;
}

}  // namespace

Probe make_rapl(Machine& machine, const SensorOptions&) {
  Probe nothing;
  std::map<std::string, Zone> zones;
  collect(machine, std::string(top), {}, 0, zones);
  link_by_id(zones);
  drop_duplicates(zones);
  if (zones.empty()) {
    const bool class_there = machine.exists(std::string(top));
    nothing.unavailable.push_back(
        {"rapl", class_there ? "no intel-rapl zone in /sys/class/powercap" : "/sys/class/powercap is not there",
         "load the driver (sudo modprobe intel_rapl_msr); virtual machines usually have no energy counters"});
    return nothing;
  }
  // Order of discovery by number, not by text: intel-rapl:10 after intel-rapl:2.
  std::vector<std::string> ids;
  for (const auto& [id, zone] : zones) ids.push_back(id);
  std::sort(ids.begin(), ids.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  FileSensorBuilder builder(machine);
  std::optional<ChannelId> platform;
  std::map<std::string, ChannelId> added;  // zone id → channel
  for (const Zone* zone : in_order(zones, ids)) {
    auto channel = channel_of(machine, *zone, zones);
    if (zone->name == "psys" && platform) {
      builder.unavailable().push_back({"rapl." + zone->id, "a second psys zone: nobody tells what it covers", {}});
      continue;
    }
    if (builder.has(channel.name)) channel.name = "rapl." + channel.domain + "@" + zone->id + ".energy";
    const auto parent = added.find(zone->parent);
    if (zone->name != "dram" && parent != added.end()) channel.part_of = parent->second;
    if (!channel.part_of && zone->name != "psys") channel.part_of = platform;
    if (!builder.add(channel, zone->path + "/energy_uj", chmod_remedy)) continue;
    const ChannelId id{static_cast<std::uint32_t>(builder.size() - 1)};
    added[zone->id] = id;
    if (zone->name == "psys") platform = id;
  }
  return builder.finish(LaneKind::fast);
}

}  // namespace prony
