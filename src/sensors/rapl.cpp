// rapl: energy counters of processor packages and what is inside them: by perf events where they may be opened, else by
// the kernel's powercap interface; domain by domain, never both for one.
// reads       perf PMU power (events energy-*), /sys/class/powercap/intel-rapl*/energy_uj; Intel, and AMD since Zen
// unit        perf: 2^-32 J; powercap: µJ. One count of the hardware is 61 µJ (Intel, 2^-14 J) or 15 µJ (AMD, 2^-16 J)
// period      about 1 ms with jitter, no time stamp (Khan et al., 2018, RAPL in Action)
// wrap        perf: none (64 bits); powercap: one count above max_energy_range_uj, the largest of a 32-bit register
// privilege   root only since 2020 (CVE-2020-8694); then the reason and `prony setup rapl` are given
// part_of     core, uncore < package; package, dram < psys where there is one; dram is not inside package
// source      arch/x86/events/rapl.c, Documentation/power/powercap/powercap.rst, drivers/powercap/intel_rapl_common.c
#include <algorithm>
#include <map>

#include "machine/machine.hpp"
#include "sensors/cpu_family.hpp"
#include "sensors/file_sensor.hpp"
#include "sensors/machine_facts.hpp"
#include "sensors/rapl_limits.hpp"
#include "sensors/rapl_sensor.hpp"
#include "sensors/rapl_sources.hpp"
#include "sensors/rows.hpp"

namespace prony {

namespace {

constexpr const char* setup_rapl = "sudo prony setup rapl   (for all users until reboot; --persist: for good)";
constexpr const char* setup_perf = "sudo prony setup perf   (until reboot; --persist: for good)";
constexpr const char* no_driver =
    "load the driver (sudo modprobe intel_rapl_msr); virtual machines usually have no energy counters";
constexpr const char* host_keeps_them = "usual in a virtual machine: the host keeps its energy counters to itself";
// Container engines hide /sys/devices/virtual/powercap since 2020 whatever is mounted there (moby's default masked
// paths, CVE-2020-8694), so the host's tree must stand elsewhere.
constexpr const char* from_the_host =
    "a container cannot load drivers: run Prony on the host, or show it the host's files (docker run -v "
    "/sys:/host/sys:ro) and add --sysfs /host/sys, as root";
// The coarsest unit that registers have (Intel): a step that is too large widens bounds by 61 µJ, one that is too small
// would make them wrong.
constexpr double coarsest_unit_j = 1.0 / 16384;

// How long zones are given to move, before the command may start: a package that runs this very code does so every
// millisecond, a platform meter may be slower. Once one has moved the others had the same time as it, and a little
// more.
constexpr Duration zone_patience = milliseconds(50);
constexpr Duration zone_patience_beside_others = milliseconds(10);

struct Entry {  // a channel that can be read
  Channel channel;
  RaplDomain domain, home;
  std::string zone, zone_parent;  // ids; empty for events
};

struct Bundle {                // what one sensor reads
  std::vector<Entry> entries;  // events first
  std::size_t events = 0;
  std::unique_ptr<PerfGroup> group;
  std::unique_ptr<Sensor> files;
  std::optional<RaplPerfUnit> unit;
};

Channel energy_channel(std::string domain, std::string device) {
  Channel channel;
  channel.sensor = "rapl";
  channel.device = std::move(device);
  channel.domain = std::move(domain);
  channel.name = "rapl." + channel.domain + ".energy";
  channel.measure = Measure::energy;
  channel.kind = ChannelKind::counter;
  channel.update_period = milliseconds(1);
  return channel;
}

const RaplZone* zone_of(const std::vector<RaplZone>& zones, const RaplDomain& domain) {
  const auto found =
      std::find_if(zones.begin(), zones.end(), [&](const RaplZone& zone) { return zone.domain.overlaps(domain); });
  return found == zones.end() ? nullptr : &*found;
}

double believable_w(Machine& machine, const std::vector<RaplZone>& zones, const RaplZone* zone, RaplKind kind) {
  if (!zone) return believable_rapl_w(kind, {}, {});
  const auto own = read_rapl_limits(machine, zone->path);
  if (kind == RaplKind::package) return believable_rapl_w(kind, own, own);
  const RaplZone* const package = zone_of(zones, zone->home);
  return believable_rapl_w(kind, own, package ? read_rapl_limits(machine, package->path) : RaplLimits{});
}

// The largest value of the zone's counter, which the driver gives as (2^32 − 1) counts of the register in µJ.
std::optional<std::uint64_t> largest_uj(Machine& machine, const RaplZone& zone) {
  const auto largest = probe_integer(machine, zone.path + "/max_energy_range_uj");
  return largest && *largest > 0 ? std::optional(static_cast<std::uint64_t>(*largest)) : std::nullopt;
}
double unit_uj(std::uint64_t largest) { return static_cast<double>(largest) / 4294967295.0; }

Entry entry_of(Machine& machine, const RaplSources& sources, const RaplPerfUnit& unit, const RaplEvent& event) {
  const auto domain = unit.domain_of(event);
  const auto* const zone = zone_of(sources.found.zones, domain);
  auto channel = energy_channel(to_string(domain), "power/" + event.name + "@cpu" + std::to_string(unit.cpu));
  channel.scale = event.scale;
  const auto largest = zone ? largest_uj(machine, *zone) : std::nullopt;
  channel.resolution = std::max(1.0, (largest ? unit_uj(*largest) * 1e-6 : coarsest_unit_j) / event.scale);
  channel.max_rate = believable_w(machine, sources.found.zones, zone, event.kind);
  return {std::move(channel), domain, {RaplKind::package, unit.package, unit.die}, {}, {}};
}

Entry entry_of(Machine& machine, const RaplSources& sources, const RaplZone& zone) {
  auto channel = energy_channel(zone.channel, zone.id);
  channel.scale = 1e-6;
  if (const auto largest = largest_uj(machine, zone)) {
    // It wraps at 2^32 counts: one count above the largest value.
    channel.resolution = std::max(1.0, unit_uj(*largest));
    channel.range = *largest + static_cast<std::uint64_t>(channel.resolution + 0.5);
  }
  channel.max_rate = believable_w(machine, sources.found.zones, &zone, zone.domain.kind);
  return {std::move(channel), zone.domain, zone.home, zone.id, zone.parent};
}

struct Watched {
  const Entry* entry;
  IntegerFile file;
  Reading first;
  bool moved = false;
};

// Reads until all have moved, or those that have not had their time. On a machine whose clock stands still nothing is
// told: what can be read counts as moving. A counter that cannot be read has not moved.
void watch(Machine& machine, std::vector<Watched>& watched, bool any) {
  constexpr int rounds_to_see_the_clock_move = 1000;
  const auto begin = machine.now();
  bool all = false, time_is_up = false;
  for (int round = 0; !all && !time_is_up; ++round) {
    const auto waited = machine.now() - begin;
    time_is_up = waited >= (any ? zone_patience_beside_others : zone_patience);
    const bool clock_stands = round >= rounds_to_see_the_clock_move && waited == Duration{};
    all = true;
    for (auto& one : watched) {
      const auto now = one.file.read();
      if (now.quality == Quality::ok) {
        if (one.first.quality != Quality::ok) one.first = now;
        one.moved = one.moved || now.raw != one.first.raw || clock_stands;
      }
      any = any || one.moved;
      all = all && one.moved;
    }
    if (clock_stands) break;
  }
}

// "package-0, package-1 and 6 more"
std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t most = 4;
  std::string text;
  for (std::size_t i = 0; i < std::min(most, names.size()); ++i) text += (i == 0 ? "" : ", ") + names[i];
  return names.size() > most ? text + " and " + std::to_string(names.size() - most) + " more" : text;
}

// Firmware without a platform meter shows a psys that never moves, and virtual machines and damaged drivers packages
// that do not. They must not pass for measured energy of the CPU: they are recorded, and a stand-in beside them. Events
// of perf were seen to count when they were opened.
void doubt_still_zones(Machine& machine, const std::vector<Bundle>& bundles, const std::vector<RaplZone>& zones,
                       Probe& probe) {
  std::vector<Watched> watched;
  bool measured = false;
  for (const auto& bundle : bundles)
    for (const auto& entry : bundle.entries) {
      if (entry.domain.kind != RaplKind::package && entry.domain.kind != RaplKind::psys) continue;
      const auto zone = std::find_if(zones.begin(), zones.end(), [&](const RaplZone& z) { return z.id == entry.zone; });
      measured = measured || entry.zone.empty();
      if (zone == zones.end()) continue;
      auto file = IntegerFile::open(machine, zone->path + "/energy_uj", IntegerSign::unsigned_64);
      if (!file) continue;
      watched.push_back({&entry, std::move(*file), {}});
      watched.back().first = watched.back().file.read();
    }
  if (watched.empty()) return;
  watch(machine, watched, measured);
  measured = measured || std::any_of(watched.begin(), watched.end(), [](const Watched& one) { return one.moved; });
  std::map<std::string, std::vector<std::string>> alike;  // what is the matter → domains
  for (const auto& one : watched) {
    if (one.moved) continue;
    const auto fault = one.file.fault();
    alike[fault ? "could not be read (" + fault->what + ")" : "did not move"].push_back(one.entry->channel.domain);
    probe.doubted.push_back(one.entry->channel.name);
  }
  const auto patience = (measured ? zone_patience_beside_others : zone_patience).ns / 1'000'000;
  for (const auto& [what, domains] : alike)
    probe.notes.push_back({"rapl." + domains.front() + ".energy",
                           some_of(domains) + " " + what + " in " + std::to_string(patience) +
                               " ms: until seen to count, " +
                               (measured ? "no sum holds it" : "power is modelled beside it"),
                           {}});
}

// One bundle per perf unit with the zones of its package, and one for zones of no unit.
std::vector<Bundle> bundles_of(Machine& machine, RaplSources& sources, Probe& probe, std::vector<Unavailable>& denied) {
  std::vector<Bundle> bundles;
  std::vector<std::string> names;
  const auto named_once = [&](Channel& channel) {
    if (std::find(names.begin(), names.end(), channel.name) != names.end())
      channel.name = "rapl." + channel.domain + "@" + name_part(channel.device) + ".energy";
    names.push_back(channel.name);
  };
  for (auto& unit : sources.units) {
    auto& bundle = bundles.emplace_back();
    for (const auto& event : unit.what.events) {
      bundle.entries.push_back(entry_of(machine, sources, unit.what, event));
      named_once(bundle.entries.back().channel);
    }
    bundle.events = bundle.entries.size();
    bundle.group = std::move(unit.group);
    bundle.unit = unit.what;
  }
  bundles.emplace_back();
  std::vector<FileSensorBuilder> files;
  for (std::size_t i = 0; i < bundles.size(); ++i) files.emplace_back(machine);
  bool platform = std::any_of(bundles.front().entries.begin(), bundles.front().entries.end(),
                              [](const Entry& entry) { return entry.domain.kind == RaplKind::psys; });
  for (const auto& zone : sources.zones) {
    if (zone.domain.kind == RaplKind::psys && platform) {
      probe.unavailable.push_back({"rapl." + zone.id, "a second psys zone: nobody tells what it covers", {}});
      continue;
    }
    std::size_t at = 0;
    while (at + 1 < bundles.size() && !(zone.home.package && bundles[at].unit->package == zone.home.package)) ++at;
    auto entry = entry_of(machine, sources, zone);
    named_once(entry.channel);
    if (!files[at].add(entry.channel, zone.path + "/energy_uj", setup_rapl)) continue;
    platform = platform || zone.domain.kind == RaplKind::psys;
    bundles[at].entries.push_back(std::move(entry));
  }
  for (std::size_t i = 0; i < bundles.size(); ++i) {
    auto opened = files[i].finish(LaneKind::fast);
    bundles[i].files = std::move(opened.sensor);
    for (auto& entry : opened.unavailable)
      (entry.remedy == setup_rapl ? denied : probe.unavailable).push_back(std::move(entry));
  }
  std::erase_if(bundles, [](const Bundle& bundle) { return bundle.entries.empty(); });
  return bundles;
}

// The entry in which `part` lies: bundle and place.
std::optional<std::pair<std::size_t, std::size_t>> whole_of(const std::vector<Bundle>& bundles, const Entry& part) {
  const auto first = [&](const auto& fits) -> std::optional<std::pair<std::size_t, std::size_t>> {
    for (std::size_t b = 0; b < bundles.size(); ++b)
      for (std::size_t e = 0; e < bundles[b].entries.size(); ++e)
        if (const auto& entry = bundles[b].entries[e]; &entry != &part && fits(entry)) return std::pair{b, e};
    return std::nullopt;
  };
  if (part.domain.kind == RaplKind::psys) return std::nullopt;
  if (part.domain.kind != RaplKind::dram && part.domain.kind != RaplKind::package) {
    if (const auto above = first([&](const Entry& e) { return !e.zone.empty() && e.zone == part.zone_parent; }))
      return above;
    if (const auto package = first([&](const Entry& e) { return e.domain.overlaps(part.home); })) return package;
  }
  return first([](const Entry& e) { return e.domain.kind == RaplKind::psys; });
}

void nest(std::vector<Bundle>& bundles, Probe& probe) {
  for (std::size_t b = 0; b < bundles.size(); ++b)
    for (std::size_t e = 0; e < bundles[b].entries.size(); ++e) {
      auto& entry = bundles[b].entries[e];
      entry.channel.id = {static_cast<std::uint32_t>(e)};
      const auto whole = whole_of(bundles, entry);
      if (!whole) continue;
      if (whole->first == b) {
        entry.channel.part_of = ChannelId{static_cast<std::uint32_t>(whole->second)};
      } else {
        probe.within.push_back({entry.channel.name, bundles[whole->first].entries[whole->second].channel.name});
      }
    }
}

// What helps where there is no counter at all.
const char* remedy_where_none(Machine& machine) {
  Manifest around;
  describe_virtual(machine, around);
  if (around.get("machine.virtual").value_or("no") != "no") return host_keeps_them;
  return around.get("machine.container") ? from_the_host : no_driver;
}

// What could not be had, in as few words as the case allows.
void explain(Machine& machine, const RaplSources& sources, const std::vector<Unavailable>& denied, Probe& probe) {
  const bool anything = probe.sensor != nullptr;
  if (sources.refused && anything) {
    // No remedy of its own: what it would mend is not missing.
    const bool may_be_mended = sources.refused->code == ErrorCode::denied;
    probe.notes.push_back({"rapl.perf",
                           "perf events would give the same counters with 64 bits, so without wraps, and all of a "
                           "package in one read; they cannot be opened (" +
                               sources.refused->what + ")" + (may_be_mended ? std::string(": ") + setup_perf : ""),
                           {}});
  }
  if (!anything && !denied.empty()) {
    const auto more = denied.size() > 1 ? " (and " + std::to_string(denied.size() - 1) + " more zones)" : std::string();
    const std::string perf = sources.refused ? "; perf events: " + sources.refused->what : std::string();
    probe.unavailable.push_back(
        {"rapl", denied.front().reason + more + ": since 2020 Linux lets only root read it" + perf, setup_rapl});
    return;
  }
  if (anything) {
    probe.notes.insert(probe.notes.end(), sources.dead.begin(), sources.dead.end());
  } else if (!sources.dead.empty()) {
    probe.unavailable.push_back({"rapl", sources.dead.front().reason, host_keeps_them});
  }
  probe.unavailable.insert(probe.unavailable.end(), denied.begin(), denied.end());
  if (anything || !probe.unavailable.empty()) return;
  if (sources.refused) {
    const bool perf_denied = sources.refused->code == ErrorCode::denied;
    // Hypervisors show the PMU, but its registers count nothing: who was let in would find that out.
    if (perf_denied && remedy_where_none(machine) == std::string_view(host_keeps_them)) {
      probe.unavailable.push_back(
          {"rapl",
           sources.refused->where + ": " + sources.refused->what +
               "; in a virtual machine these events usually count nothing",
           std::string("measure on the host; only if that passes energy counters on: ") + setup_perf});
      return;
    }
    probe.unavailable.push_back({"rapl", sources.refused->where + ": " + sources.refused->what,
                                 perf_denied ? setup_perf : sources.refused->fix});
    return;
  }
  const ProcessorId processor = processor_id(machine);
  if (!processor.board.empty() || processor.vendor.starts_with("0x")) {
    probe.unavailable.push_back(
        {"rapl", "not on this machine: only processors of Intel and AMD have these counters", {}});
    return;
  }
  probe.unavailable.push_back(
      {"rapl",
       sources.found.class_there ? "no intel-rapl zone in /sys/class/powercap" : "/sys/class/powercap is not there",
       remedy_where_none(machine)});
}

}  // namespace

Probe make_rapl(Machine& machine, const SensorOptions&) {
  Probe probe;
  auto sources = find_rapl_sources(machine);
  probe.notes = std::move(sources.notes);
  std::vector<Unavailable> denied;
  auto bundles = bundles_of(machine, sources, probe, denied);
  doubt_still_zones(machine, bundles, sources.zones, probe);
  nest(bundles, probe);
  for (auto& bundle : bundles) {
    std::vector<Channel> channels;
    for (auto& entry : bundle.entries) channels.push_back(std::move(entry.channel));
    auto sensor = std::make_unique<RaplSensor>(std::move(channels), std::move(bundle.group), bundle.events,
                                               std::move(bundle.files),
                                               bundle.unit ? std::optional(bundle.unit->cpu) : std::nullopt);
    if (!probe.sensor)
      probe.sensor = std::move(sensor);
    else
      probe.more.push_back(std::move(sensor));
  }
  explain(machine, sources, denied, probe);
  return probe;
}

}  // namespace prony
