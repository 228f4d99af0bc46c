// Facts of what governs power: clocks, boost, limits, mains or battery. See machine_facts.hpp.
#include <map>
#include <utility>

#include "base/text.hpp"
#include "sensors/file_sensor.hpp"
#include "sensors/hwmon_chips.hpp"
#include "sensors/machine_facts.hpp"

namespace prony {

namespace {

constexpr std::size_t most_limits_told = 32;

// "powersave", or "performance (4 of 8 policies), powersave (4 of 8 policies)".
std::string tally(Machine& machine, const std::vector<std::string>& folders, const std::string& file) {
  std::map<std::string, std::size_t> counts;
  std::size_t all = 0;
  for (const auto& folder : folders)
    if (const auto text = machine.read_text(folder + "/" + file); text && !text->empty()) {
      ++counts[printable(*text, 40)];
      ++all;
    }
  std::string words;
  for (const auto& [text, count] : counts) {
    words += (words.empty() ? "" : ", ") + text;
    if (count < all) words += " (" + std::to_string(count) + " of " + std::to_string(all) + " policies)";
  }
  return words;
}

std::string gigahertz(std::int64_t khz) { return format_number(static_cast<double>(khz) * 1e-6) + " GHz"; }

std::string boost(Machine& machine) {
  if (const auto off = probe_integer(machine, "/sys/devices/system/cpu/intel_pstate/no_turbo"))
    return *off == 0 ? "on" : "off";
  if (const auto on = probe_integer(machine, "/sys/devices/system/cpu/cpufreq/boost")) return *on == 0 ? "off" : "on";
  return {};
}

// The first policy that is held below the hardware's largest clock, and how many are.
std::string clock_limit(Machine& machine, const std::vector<std::string>& folders) {
  std::string words;
  std::size_t count = 0;
  for (const auto& folder : folders) {
    const auto limit = probe_integer(machine, folder + "/scaling_max_freq");
    const auto hardware = probe_integer(machine, folder + "/cpuinfo_max_freq");
    if (!limit || !hardware || *limit <= 0 || *limit >= *hardware) continue;
    if (count++ == 0) words = gigahertz(*limit) + " of " + gigahertz(*hardware);
  }
  if (count > 1) words += " (" + std::to_string(count) + " of " + std::to_string(folders.size()) + " policies)";
  return words;
}

// The clock that the processor is sold by, where all its cores have one: what turbo goes beyond; else the largest there
// is. Of cores of two kinds there are two, and none is told.
void describe_nominal_clock(Machine& machine, const std::vector<std::string>& folders, Manifest& manifest) {
  std::map<std::pair<std::int64_t, std::string>, std::size_t> found;
  const auto nominal_mhz = probe_integer(machine, "/sys/devices/system/cpu/cpu0/acpi_cppc/nominal_freq");
  constexpr std::int64_t most_khz = 1'000'000'000;
  for (const auto& folder : folders) {
    const auto base = probe_integer(machine, folder + "/base_frequency");
    const auto largest = probe_integer(machine, folder + "/cpuinfo_max_freq");
    if (base && *base > 0 && *base <= most_khz)
      ++found[{*base, "base_frequency"}];
    else if (nominal_mhz && *nominal_mhz > 0 && *nominal_mhz <= most_khz / 1000)
      ++found[{*nominal_mhz * 1000, "nominal_freq"}];
    else if (largest && *largest > 0 && *largest <= most_khz)
      ++found[{*largest, "cpuinfo_max_freq"}];
  }
  if (found.size() != 1) return;
  const auto& [khz, source] = found.begin()->first;
  manifest.set("machine.nominal_clock_hz", std::to_string(khz * 1000), "machine");
  manifest.set("machine.nominal_clock_source", source, "machine");
}

std::string source_of_power(Machine& machine) {
  std::string mains, battery;
  for (const auto& supply : machine.list("/sys/class/power_supply").value_or(std::vector<std::string>{})) {
    const auto folder = "/sys/class/power_supply/" + supply;
    if (machine.read_text(folder + "/scope").value_or("") == "Device") continue;
    if (machine.read_text(folder + "/type").value_or("") == "Battery") {
      const auto status = machine.read_text(folder + "/status").value_or("");
      if (battery.empty() || status == "Discharging") battery = status;
    } else if (probe_integer(machine, folder + "/online").value_or(0) > 0) {
      mains = "mains";
    }
  }
  if (battery == "Discharging") return mains.empty() ? "battery" : "mains and battery";
  if (!mains.empty()) return battery == "Charging" ? "mains, charging the battery" : mains;
  return {};
}

}  // namespace

void describe_power(Machine& machine, Manifest& manifest) {
  const auto set = [&](const std::string& key, const std::string& value) {
    if (!value.empty()) manifest.set("machine." + key, value, "machine");
  };
  const std::string top = "/sys/devices/system/cpu/cpufreq";
  std::vector<std::string> policies;
  for (const auto& name : machine.list(top).value_or(std::vector<std::string>{}))
    if (name.starts_with("policy")) policies.push_back(top + "/" + name);
  set("governor", tally(machine, policies, "scaling_governor"));
  set("clock_driver", tally(machine, policies, "scaling_driver"));
  set("energy_preference", tally(machine, policies, "energy_performance_preference"));
  set("clock_limit", clock_limit(machine, policies));
  describe_nominal_clock(machine, policies, manifest);
  set("boost", boost(machine));
  if (const auto idle = machine.read_text("/sys/devices/system/cpu/cpuidle/current_driver"); idle && *idle != "none")
    set("idle_driver", *idle);
  set("platform_profile", machine.read_text("/sys/firmware/acpi/platform_profile").value_or(""));
  set("power_source", source_of_power(machine));
  std::size_t limits = 0;
  const auto add_limit = [&](const std::string& name, const std::string& path) {
    const auto microwatts = probe_integer(machine, path);
    if (!microwatts || *microwatts <= 0 || ++limits > most_limits_told) return;
    set("power_limit." + name, format_number(static_cast<double>(*microwatts) * 1e-6) + " W");
  };
  for (const auto& zone : machine.list("/sys/class/powercap").value_or(std::vector<std::string>{}))
    for (const std::string constraint : {"constraint_0", "constraint_1"}) {
      const auto stem = "/sys/class/powercap/" + zone + "/" + constraint;
      const auto name = machine.read_text(stem + "_name").value_or(constraint);
      add_limit(name_part(zone) + "." + name_part(name), stem + "_power_limit_uw");
    }
  for (const auto& chip : hwmon_chips(machine))
    for (const char* kind : {"_cap", "_max"})
      for (const auto& input : chip.inputs(machine, "power", kind))
        add_limit(chip.name + "." + name_part(input.label) + kind, input.path);
}

}  // namespace prony
