#include "sensors/rapl_zones.hpp"

#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "sensors/file_sensor.hpp"

namespace prony {

namespace {

constexpr std::string_view powercap_folder = "/sys/class/powercap";
constexpr int deepest_zone = 4;  // control type, package, domain, and one to spare: links may run in circles

using Zones = std::map<std::string, RaplZone>;

bool is_zone_id(std::string_view name) {
  return name.starts_with("intel-rapl") && name.find(':') != std::string_view::npos;
}

// Zones below `directory`. The class directory is flat (links to every zone) and each zone's own directory holds its
// children again: an id that was seen is not taken twice.
void collect(Machine& machine, const std::string& directory, const std::string& parent, int depth, Zones& zones) {
  const auto entries = machine.list(directory);
  if (!entries || depth > deepest_zone) return;
  for (const auto& entry : *entries) {
    if (!entry.starts_with("intel-rapl")) continue;
    const auto path = directory + "/" + entry;
    if (!is_zone_id(entry)) {  // a control type: "intel-rapl", "intel-rapl-mmio"
      collect(machine, path, {}, depth + 1, zones);
      continue;
    }
    const auto name = machine.read_text(path + "/name");
    if (name && !name->empty()) {
      auto& zone = zones.try_emplace(entry, RaplZone{entry, path, *name, parent, {}, {}, {}}).first->second;
      if (zone.parent.empty()) zone.parent = parent;
    }
    collect(machine, path, entry, depth + 1, zones);
  }
}

// "intel-rapl:0:1" is inside "intel-rapl:0", also where the tree is flat.
void link_by_id(Zones& zones) {
  for (auto& [id, zone] : zones) {
    const auto above = id.substr(0, id.rfind(':'));
    if (zone.parent.empty() && zones.contains(above)) zone.parent = above;
  }
}

// intel-rapl-mmio shows the package of intel-rapl through other registers: the same joules, counted once.
void drop_copies(Zones& zones, std::vector<Unavailable>& left) {
  const auto shown_elsewhere = [&](const RaplZone& zone) -> const RaplZone* {
    for (const auto& [id, other] : zones)
      if (id.starts_with("intel-rapl:") && other.parent.empty() && other.name == zone.name) return &other;
    return nullptr;
  };
  std::vector<std::string> dropped;
  for (const auto& [id, zone] : zones) {
    if (id.starts_with("intel-rapl:") || !zone.parent.empty()) continue;
    const RaplZone* const same = shown_elsewhere(zone);
    if (!same) continue;
    dropped.push_back(id);
    left.push_back({"rapl." + id, "shows " + name_part(zone.name) + " once more: " + same->id + " is read", {}});
  }
  for (const auto& id : dropped)
    std::erase_if(zones, [&](const auto& entry) { return entry.first == id || entry.first.starts_with(id + ":"); });
}

// "package-0-die-1" → package 0, die 1. Anything else: no numbers.
RaplDomain package_in_name(std::string_view name) {
  RaplDomain domain{RaplKind::package, {}, {}};
  const auto number = [](std::string_view text) -> std::optional<unsigned> {
    const auto value = parse_u64(text);
    return value && *value < 65536 ? std::optional(static_cast<unsigned>(*value)) : std::nullopt;
  };
  name.remove_prefix(std::string_view("package").size());
  if (!name.starts_with('-')) return domain;
  name.remove_prefix(1);
  const auto die = name.find("-die-");
  domain.package = number(name.substr(0, die));
  if (domain.package && die != std::string_view::npos) domain.die = number(name.substr(die + 5));
  return domain;
}

RaplKind rapl_kind(std::string_view name) {
  // Packages of a machine with several number their psys: "psys-1".
  if (name == "psys" || name.starts_with("psys-")) return RaplKind::psys;
  if (name.starts_with("package")) return RaplKind::package;
  if (name == "core") return RaplKind::core;
  if (name == "uncore") return RaplKind::uncore;
  if (name == "dram") return RaplKind::dram;
  return RaplKind::other;
}

void tell_domains(Zones& zones) {
  for (auto& [id, zone] : zones) {
    const auto kind = rapl_kind(zone.name);
    const auto parent = zones.find(zone.parent);
    zone.channel = name_part(zone.name);
    if (kind == RaplKind::package) {
      zone.domain = zone.home = package_in_name(zone.name);
    } else if (parent != zones.end() && kind != RaplKind::psys) {
      const std::string& above = parent->second.name;
      if (above.starts_with("package")) zone.home = package_in_name(above);
      zone.domain = {kind, zone.home.package, zone.home.die};
      // "core" inside "package-0-die-1" becomes "core-0-die-1".
      zone.channel = name_part(zone.name + (above.starts_with("package") ? above.substr(7) : "-" + above));
    } else {
      zone.domain = {kind, {}, {}};
    }
  }
}

// psys first, then each package followed by what is inside it; by number, not by text: intel-rapl:10 after
// intel-rapl:2.
std::vector<RaplZone> in_order(const Zones& zones) {
  std::vector<const RaplZone*> by_number;
  for (const auto& [id, zone] : zones) by_number.push_back(&zone);
  std::sort(by_number.begin(), by_number.end(), [](const RaplZone* a, const RaplZone* b) {
    return a->id.size() != b->id.size() ? a->id.size() < b->id.size() : a->id < b->id;
  });
  std::vector<RaplZone> order;
  const auto with_children = [&](auto&& self, const RaplZone& zone, int depth) -> void {
    order.push_back(zone);
    if (depth > deepest_zone) return;
    for (const RaplZone* child : by_number)
      if (child->parent == zone.id) self(self, *child, depth + 1);
  };
  for (const bool platform : {true, false})
    for (const RaplZone* zone : by_number)
      if (zone->parent.empty() && (zone->domain.kind == RaplKind::psys) == platform)
        with_children(with_children, *zone, 0);
  return order;
}

}  // namespace

bool RaplDomain::overlaps(const RaplDomain& other) const noexcept {
  if (kind != other.kind) return false;
  if (kind == RaplKind::psys) return true;
  if (!package || !other.package || *package != *other.package) return false;
  return !die || !other.die || *die == *other.die;
}

std::string to_string(const RaplDomain& domain) {
  constexpr std::string_view words[] = {"psys", "package", "core", "uncore", "dram", "other"};
  std::string text(words[static_cast<std::size_t>(domain.kind)]);
  if (domain.kind == RaplKind::psys) return text;
  if (domain.package) text += "-" + std::to_string(*domain.package);
  if (domain.die) text += "-die-" + std::to_string(*domain.die);
  return text;
}

RaplZones find_rapl_zones(Machine& machine) {
  RaplZones result;
  Zones zones;
  collect(machine, std::string(powercap_folder), {}, 0, zones);
  link_by_id(zones);
  drop_copies(zones, result.left);
  tell_domains(zones);
  result.zones = in_order(zones);
  result.class_there = !zones.empty() || machine.exists(std::string(powercap_folder));
  return result;
}

}  // namespace prony
