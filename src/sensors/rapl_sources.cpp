#include "sensors/rapl_sources.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "sensors/integer_file.hpp"
#include "sensors/rapl_mirror.hpp"

namespace prony {

namespace {

constexpr Duration mirror_budget = milliseconds(40);
// A package that runs this very code moves its counter every millisecond. Where nothing at all moves (virtual machines)
// five of its periods tell; where something lives, what rests is given more time. Each `prony run` waits for this
// before its command may start. Where the kernel lists no package at all it has read 0 from its register and did not
// look at the platform's (arch/x86/events/rapl.c, no_check): two periods will do.
constexpr Duration no_package_dead_after = milliseconds(2);
constexpr Duration all_dead_after = milliseconds(5);
constexpr Duration one_dead_after = milliseconds(10);
constexpr std::chrono::microseconds pause_between_looks{200};
constexpr std::uint64_t rounds_to_see_the_clock_move = 1000;

void note_mirror(RaplSources& sources, const std::string& left, const std::string& kept) {
  sources.notes.push_back({"rapl." + left, "mirrors " + kept + ": one counter, read once", {}});
}

// Opens the group again with fewer events; without any it is closed.
void keep_events(Machine& machine, RaplUnit& unit, std::vector<RaplEvent> events) {
  if (events.size() == unit.what.events.size()) return;
  unit.what.events = std::move(events);
  unit.group.reset();
  if (unit.what.events.empty()) return;
  if (auto group = open_rapl_unit(machine, unit.what)) unit.group = std::move(*group);
}

void open_units(Machine& machine, RaplSources& sources) {
  auto pmu = find_rapl_pmu(machine);
  if (!pmu) {
    if (pmu.error().code != ErrorCode::absent) sources.refused = pmu.error();
    return;
  }
  sources.notes.insert(sources.notes.end(), pmu->strange.begin(), pmu->strange.end());
  for (auto& unit : pmu->units) {
    auto group = open_rapl_unit(machine, unit);
    if (group) {
      sources.units.push_back({std::move(unit), std::move(*group)});
    } else if (group.error().where == "perf") {
      return;  // files of another machine: it has no events here, and nobody can change that
    } else {
      sources.refused = group.error();
    }
  }
}

// Which events of each unit moved in time; on a machine whose clock stands still, nothing is told and all count as
// moved. The last look comes after the time is up: whoever was kept off the CPU meanwhile still sees a counter that
// ran.
std::vector<std::vector<bool>> moved_events(const Machine& machine, std::vector<RaplUnit>& units) {
  std::vector<std::vector<bool>> moved;
  std::vector<std::vector<std::uint64_t>> first;
  for (auto& unit : units) {
    moved.emplace_back(unit.what.events.size(), false);
    (void)unit.group->read(first.emplace_back(unit.what.events.size()));
  }
  const bool package = std::any_of(units.begin(), units.end(), [](const RaplUnit& unit) {
    return std::any_of(unit.what.events.begin(), unit.what.events.end(),
                       [](const RaplEvent& event) { return event.kind == RaplKind::package; });
  });
  const auto begin = machine.now();
  bool all = false, any = false, time_is_up = false;
  for (std::uint64_t round = 0; !all && !time_is_up; ++round) {
    const auto waited = machine.now() - begin;
    time_is_up = waited >= (any ? one_dead_after : package ? all_dead_after : no_package_dead_after);
    if (round >= rounds_to_see_the_clock_move && waited == Duration{}) {
      for (auto& unit : moved) unit.assign(unit.size(), true);
      break;
    }
    // A counter moves once a millisecond: to ask without a pause would interrupt the package's CPU thousands of times.
    if (round > 0 && machine.kind() == MachineKind::live) std::this_thread::sleep_for(pause_between_looks);
    all = true;
    for (std::size_t u = 0; u < units.size(); ++u) {
      std::vector<std::uint64_t> now(first[u].size());
      if (units[u].group->read(now) != 0) continue;
      for (std::size_t e = 0; e < now.size(); ++e) {
        moved[u][e] = moved[u][e] || now[e] != first[u][e];
        any = any || moved[u][e];
        const auto kind = units[u].what.events[e].kind;
        all = all && (moved[u][e] || (kind != RaplKind::package && kind != RaplKind::psys));
      }
      all = all && std::find(moved[u].begin(), moved[u].end(), true) != moved[u].end();
    }
  }
  return moved;
}

// Virtual machines show events whose register is always 0, and firmware without a platform meter a psys that never
// moves. A part of a living package may rest (graphics that are off): it is kept.
void drop_dead_events(Machine& machine, RaplSources& sources) {
  const auto moved = moved_events(machine, sources.units);
  for (std::size_t u = 0; u < sources.units.size(); ++u) {
    auto& unit = sources.units[u];
    const bool any = std::find(moved[u].begin(), moved[u].end(), true) != moved[u].end();
    std::vector<RaplEvent> alive;
    for (std::size_t e = 0; e < unit.what.events.size(); ++e) {
      const auto& event = unit.what.events[e];
      const bool must_move = event.kind == RaplKind::package || event.kind == RaplKind::psys;
      if (moved[u][e] || (any && !must_move)) {
        alive.push_back(event);
      } else {
        sources.dead.push_back({"rapl." + to_string(unit.what.domain_of(event)),
                                "perf event " + event.name + " on CPU " + std::to_string(unit.what.cpu) +
                                    " can be opened but counts nothing",
                                {}});
      }
    }
    keep_events(machine, unit, std::move(alive));
  }
  std::erase_if(sources.units, [](const RaplUnit& unit) { return !unit.group; });
}

std::vector<RaplDomain> domains_of(const std::vector<RaplUnit>& units) {
  std::vector<RaplDomain> domains;
  for (const auto& unit : units)
    for (const auto& event : unit.what.events) domains.push_back(unit.what.domain_of(event));
  return domains;
}

ReadCounter reader(RaplUnit& unit, std::size_t event) {
  return [&unit, event, counts = std::vector<std::uint64_t>(unit.what.events.size())]() mutable {
    return unit.group->read(counts) == 0 ? std::optional(counts[event]) : std::nullopt;
  };
}

ReadCounter reader(IntegerFile& file) {
  return [&file]() -> std::optional<std::uint64_t> {
    const auto reading = file.read();
    return reading.quality == Quality::ok ? std::optional(static_cast<std::uint64_t>(reading.raw)) : std::nullopt;
  };
}

// Dies of one package whose events count the same register: those of the first are kept. (Registers of two packages
// are never one.)
void drop_mirrored_events(Machine& machine, RaplSources& sources, MirrorWatch& watch) {
  auto& units = sources.units;
  for (std::size_t second = 1; second < units.size(); ++second) {
    auto& unit = units[second];
    std::vector<RaplEvent> own;
    for (std::size_t i = 0; i < unit.what.events.size(); ++i) {
      const auto& event = unit.what.events[i];
      const RaplPerfUnit* kept = nullptr;
      for (std::size_t first = 0; first < second && !kept; ++first) {
        auto& other = units[first];
        if (!other.group || other.what.package != unit.what.package) continue;
        for (std::size_t j = 0; j < other.what.events.size() && !kept; ++j)
          if (other.what.events[j].kind == event.kind && watch.same(reader(other, j), reader(unit, i), false, 0))
            kept = &other.what;
      }
      if (kept) {
        note_mirror(sources, to_string(unit.what.domain_of(event)), to_string(kept->domain_of(event)));
      } else {
        own.push_back(event);
      }
    }
    keep_events(machine, unit, std::move(own));
  }
  std::erase_if(units, [](const RaplUnit& unit) { return !unit.group; });
}

// Zones of one kind that show one register under two names: zone left out → zone that is read.
std::map<std::string, const RaplZone*> mirrored_zones(Machine& machine, RaplSources& sources, MirrorWatch& watch) {
  struct Opened {
    const RaplZone* zone;
    IntegerFile file;
  };
  std::vector<Opened> opened;
  for (const auto& zone : sources.zones) {
    if (zone.domain.kind == RaplKind::psys || zone.domain.kind == RaplKind::other) continue;
    auto file = IntegerFile::open(machine, zone.path + "/energy_uj", IntegerSign::unsigned_64);
    if (file) opened.push_back({&zone, std::move(*file)});
  }
  std::map<std::string, const RaplZone*> mirrors;
  for (std::size_t second = 1; second < opened.size(); ++second)
    for (std::size_t first = 0; first < second; ++first) {
      const auto& zone = *opened[second].zone;
      const auto& other = *opened[first].zone;
      if (other.domain.kind != zone.domain.kind || mirrors.contains(other.id)) continue;
      if (!watch.same(reader(opened[first].file), reader(opened[second].file), true, 1)) continue;
      mirrors[zone.id] = &other;
      note_mirror(sources, zone.channel, other.channel);
      break;
    }
  return mirrors;
}

void drop_mirrored_zones(Machine& machine, RaplSources& sources, MirrorWatch& watch) {
  const auto mirrors = mirrored_zones(machine, sources, watch);
  if (mirrors.empty()) return;
  std::vector<RaplZone> kept;
  for (auto zone : sources.zones) {
    if (mirrors.contains(zone.id)) continue;
    if (const auto parent = mirrors.find(zone.parent); parent != mirrors.end()) {
      zone.parent = parent->second->id;
      zone.home = parent->second->home;
    }
    kept.push_back(std::move(zone));
  }
  sources.zones = std::move(kept);
}

}  // namespace

RaplSources find_rapl_sources(Machine& machine) {
  RaplSources sources;
  sources.found = find_rapl_zones(machine);
  sources.notes = sources.found.left;
  open_units(machine, sources);
  drop_dead_events(machine, sources);
  // Before mirrors are dropped: powercap would show a mirrored counter once more.
  const auto covered = domains_of(sources.units);
  MirrorWatch watch(machine, mirror_budget);
  drop_mirrored_events(machine, sources, watch);
  for (const auto& zone : sources.found.zones)
    if (std::none_of(covered.begin(), covered.end(),
                     [&](const RaplDomain& domain) { return domain.overlaps(zone.domain); }))
      sources.zones.push_back(zone);
  drop_mirrored_zones(machine, sources, watch);
  return sources;
}

}  // namespace prony
