// Machines with RAPL by powercap, by perf events, or both, whose counters a test sets.
#pragma once

#include <gmock/gmock.h>

#include <memory>
#include <string>

#include "machine/simulated.hpp"
#include "seen.hpp"
#include "sensors/rows.hpp"

namespace prony {

inline constexpr std::uint32_t power_pmu = 9;
// Event numbers as the kernel gives them.
inline constexpr std::uint64_t cores_event = 1, pkg_event = 2, ram_event = 3, gpu_event = 4, psys_event = 5;

struct RaplMachine : SimulatedMachine {
  void zone(const std::string& id, const std::string& name, Text energy) {
    const auto path = "/sys/class/powercap/intel-rapl:" + id;
    set_file(path + "/name", name + "\n");
    set_file(path + "/energy_uj", std::move(energy));
    set_file(path + "/max_energy_range_uj", "262143328850\n");
  }
  void zone(const std::string& id, const std::string& name, const std::string& energy) {
    zone(id, name, [energy](Instant) { return energy; });
  }
  void zone_fault(const std::string& id, int error) {
    set_fault("/sys/class/powercap/intel-rapl:" + id + "/energy_uj", error);
  }
  // The PMU's folder: which events there are and on which CPUs.
  void pmu(const std::string& cpumask, const std::vector<std::pair<std::string, std::uint64_t>>& events) {
    const std::string path = "/sys/bus/event_source/devices/power";
    set_file(path + "/type", std::to_string(power_pmu) + "\n");
    set_file(path + "/cpumask", cpumask + "\n");
    for (const auto& [name, number] : events) {
      set_file(path + "/events/" + name, "event=0x0" + std::to_string(number) + "\n");
      set_file(path + "/events/" + name + ".scale", "2.3283064365386962890625e-10\n");
      set_file(path + "/events/" + name + ".unit", "Joules\n");
    }
  }
  void cpu(int number, int package, int die = 0) {
    const auto path = "/sys/devices/system/cpu/cpu" + std::to_string(number) + "/topology/";
    set_file(path + "physical_package_id", std::to_string(package) + "\n");
    set_file(path + "die_id", std::to_string(die) + "\n");
  }
  // Counts 1000 · `number` + CPU from its opening on, once a second has gone by.
  void counts(std::uint64_t number, int on_cpu) {
    set_perf({power_pmu, number}, on_cpu, [=](Instant at) {
      return 77 + (at.ns >= 1'000'000'000 ? 1000 * number + static_cast<std::uint64_t>(on_cpu) : 0);
    });
  }
};

// A server with two sockets, whose second one begins at CPU 24.
inline void two_sockets(RaplMachine& machine) {
  machine.pmu("0,24", {{"energy-pkg", pkg_event}, {"energy-ram", ram_event}});
  machine.cpu(0, 0);
  machine.cpu(24, 1);
  for (const int cpu : {0, 24})
    for (const auto number : {pkg_event, ram_event}) machine.counts(number, cpu);
  for (const std::string n : {"0", "1"}) {
    machine.zone(n, "package-" + n, n + "5");
    machine.zone(n + ":0", "dram", n + "6");
  }
}

// Channels of every sensor of the probe, as seen() gives them, with the home CPU in front: "@24 rapl.…".
inline std::vector<std::string> seen_all(Probe& probe) {
  std::vector<std::string> result;
  const auto add = [&](std::unique_ptr<Sensor>& sensor) {
    Probe one;
    one.sensor = std::move(sensor);
    const auto home = one.sensor->home_cpu();
    for (const auto& text : seen(one)) result.push_back((home ? "@" + std::to_string(*home) + " " : "") + text);
    sensor = std::move(one.sensor);
  };
  if (probe.sensor) add(probe.sensor);
  for (auto& sensor : probe.more) add(sensor);
  return result;
}

}  // namespace prony
