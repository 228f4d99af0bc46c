#include "sensors/rapl_perf.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <map>

#include "base/text.hpp"
#include "machine/names.hpp"
#include "sensors/file_sensor.hpp"

namespace prony {

namespace {

constexpr const char* pmu_path = "/sys/bus/event_source/devices/power";

std::optional<RaplKind> kind_of_event(std::string_view name) {
  if (name == "energy-psys") return RaplKind::psys;
  if (name == "energy-pkg") return RaplKind::package;
  if (name == "energy-cores") return RaplKind::core;
  if (name == "energy-gpu") return RaplKind::uncore;  // PP1, which powercap calls uncore
  if (name == "energy-ram") return RaplKind::dram;
  return std::nullopt;
}

// "event=0x02" → 2. The only form that this PMU has (format/event is config:0-7).
std::optional<std::uint64_t> config_of(std::string_view text) {
  text = trim(text);
  constexpr std::string_view head = "event=0x";
  if (!text.starts_with(head)) return std::nullopt;
  text.remove_prefix(head.size());
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc{} || stop != text.data() + text.size() || value > 0xff) return std::nullopt;
  return value;
}

std::optional<RaplEvent> event_of(Machine& machine, std::uint32_t type, const std::string& name, RaplKind kind,
                                  std::vector<Unavailable>& strange) {
  const auto path = std::string(pmu_path) + "/events/" + name;
  const auto text = machine.read_text(path);
  const auto config = text ? config_of(*text) : std::nullopt;
  const auto scale_text = machine.read_text(path + ".scale");
  const double scale = scale_text ? parse_finite(*scale_text).value_or(0) : 0;
  const auto unit = machine.read_text(path + ".unit");
  if (config && scale > 0 && unit && *unit == "Joules") return RaplEvent{name, kind, PerfEvent{type, *config}, scale};
  strange.push_back({"rapl." + name, path + ": its event number, scale or unit is not what a kernel writes", {}});
  return std::nullopt;
}

// Packages and dies of the CPUs of the mask. A die has a number only where a package has several of them here: else
// the counter covers the whole package, as far as the kernel knows.
void place_units(Machine& machine, std::vector<RaplPerfUnit>& units) {
  const auto topology = [&](unsigned cpu, const char* name) -> std::optional<unsigned> {
    const auto value =
        probe_integer(machine, "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/" + name);
    return value && *value >= 0 && *value < 65536 ? std::optional(static_cast<unsigned>(*value)) : std::nullopt;
  };
  std::map<unsigned, unsigned> dies;  // package → units seen of it
  for (std::size_t i = 0; i < units.size(); ++i) {
    units[i].package = topology(units[i].cpu, "physical_package_id").value_or(static_cast<unsigned>(i));
    ++dies[*units[i].package];
  }
  std::map<unsigned, unsigned> next;
  for (auto& unit : units) {
    if (dies[*unit.package] < 2) continue;
    const auto in_order = next[*unit.package]++;
    unit.die = topology(unit.cpu, "die_id").value_or(in_order);
    for (const auto& other : units)  // two CPUs of one die cannot both be the die's
      if (&other != &unit && other.package == unit.package && other.die == unit.die) unit.die = in_order;
  }
}

}  // namespace

Result<RaplPmu> find_rapl_pmu(Machine& machine) {
  const std::string path(pmu_path);
  if (!machine.exists(path)) return fail(ErrorCode::absent, "this kernel has no perf PMU called power", path);
  const auto type = probe_integer(machine, path + "/type");
  const auto mask = machine.read_text(path + "/cpumask");
  const auto cpus = mask ? cpus_of_list(trim(*mask)) : std::nullopt;
  if (!type || *type < 0 || *type > INT32_MAX || !cpus)
    return fail(ErrorCode::malformed, "type or cpumask of this PMU is not what a kernel writes", path);
  RaplPmu pmu;
  std::vector<RaplEvent> events;
  if (const auto names = machine.list(path + "/events"))
    for (const auto& name : *names) {
      const auto kind = kind_of_event(name);
      if (!kind) continue;  // also *.scale and *.unit
      if (auto event = event_of(machine, static_cast<std::uint32_t>(*type), name, *kind, pmu.strange))
        events.push_back(std::move(*event));
    }
  if (events.empty()) return fail(ErrorCode::absent, "the perf PMU called power has no energy events", path);
  std::sort(events.begin(), events.end(), [](const RaplEvent& a, const RaplEvent& b) { return a.kind < b.kind; });
  for (const unsigned cpu : *cpus) pmu.units.push_back({cpu, {}, {}, events});
  for (std::size_t i = 1; i < pmu.units.size(); ++i)
    std::erase_if(pmu.units[i].events, [](const RaplEvent& event) { return event.kind == RaplKind::psys; });
  place_units(machine, pmu.units);
  return pmu;
}

Result<std::unique_ptr<PerfGroup>> open_rapl_unit(Machine& machine, RaplPerfUnit& unit) {
  const auto open = [&](const std::vector<RaplEvent>& events) {
    std::vector<PerfEvent> numbers;
    for (const auto& event : events) numbers.push_back(event.event);
    return machine.open_perf(numbers, -1, static_cast<int>(unit.cpu));
  };
  auto group = open(unit.events);
  if (!group && group.error().code != ErrorCode::denied && unit.events.size() > 1) {
    // One that this processor lacks refuses them all: keep those that open alone.
    std::vector<RaplEvent> good;
    for (const auto& event : unit.events)
      if (open({event})) good.push_back(event);
    if (!good.empty() && good.size() < unit.events.size()) {
      group = open(good);
      if (group) unit.events = std::move(good);
    }
  }
  if (!group) return group;
  std::vector<std::uint64_t> counts(unit.events.size());
  if (const int status = (*group)->read(counts); status != 0)
    return fail(ErrorCode::unavailable, perf_read_reason(-status), "perf PMU power on CPU " + std::to_string(unit.cpu));
  return group;
}

std::string perf_read_reason(int errno_value) {
  switch (errno_value) {
    case EBUSY: return "the kernel shares the counters among too many perf events: what it shows would be a guess";
    case ENODEV: return "the perf events are in an error state: their CPU or PMU has gone";
    default: return error_from_errno(errno_value, {}, "cannot read perf events").what;
  }
}

}  // namespace prony
