// Machines for the doctor's tests: functions of a clock that moves only while the doctor waits.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "doctor/doctor.hpp"
#include "machine/simulated.hpp"

namespace prony::doctor {

// A machine at which nothing is wrong.
inline HostFacts healthy() {
  HostFacts host;
  host.own_pid = 77;
  host.ntp = HostFacts::Ntp{true, 0.0021};
  host.timers = HostFacts::Timers{12e-6, 230e-6};
  host.place = HostFacts::Place{"/data/runs", 73'200'000'000, "", false};
  return host;
}

inline std::string cpu_line(std::uint64_t busy, std::uint64_t idle, std::uint64_t stolen = 0) {
  return "cpu  " + std::to_string(busy) + " 0 0 " + std::to_string(idle) + " 0 0 0 " + std::to_string(stolen) +
         " 0 0\n";
}

inline std::string process_line(int pid, const std::string& name, std::uint64_t ticks, std::uint64_t start) {
  return std::to_string(pid) + " (" + name + ") S 1 1 1 0 -1 4194304 100 0 0 0 " + std::to_string(ticks) +
         " 0 0 0 20 0 1 0 " + std::to_string(start) + " 1000000 100\n";
}

// Idle, four CPUs, measured by RAPL.
inline void furnish(SimulatedMachine& machine) {
  machine.set_now({1'000'000'000});
  machine.set_cpu_count(4);
  machine.set_file("/proc/stat", [](Instant at) { return cpu_line(0, static_cast<std::uint64_t>(at.ns / 2'500'000)); });
  machine.set_file("/proc/meminfo",
                   "MemTotal: 16000000 kB\nMemAvailable: 12000000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n");
  machine.set_file(
      "/proc/cpuinfo",
      "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 140\nmodel name\t: Test CPU\n"
      "flags\t\t: fpu\n");
  machine.set_file("/sys/class/powercap/intel-rapl:0/name", "package-0");
  machine.set_file("/sys/class/powercap/intel-rapl:0/energy_uj", "1234567");
  machine.set_file("/sys/class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850");
  machine.set_file("/sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "performance");
  machine.set_file("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc");
}

inline Report examine_simulated(SimulatedMachine& machine, const HostFacts& host = healthy()) {
  return examine(machine, host, {}, [&](Duration length) { machine.advance(length); });
}

inline Finding finding_of(const Report& report, const std::string& check) {
  const auto found = std::ranges::find(report.findings, check, &Finding::check);
  if (found != report.findings.end()) return *found;
  ADD_FAILURE() << "no finding '" << check << "'";
  return {};
}

inline double number(const Finding& finding, const std::string& name) {
  for (const auto& [key, value] : finding.numbers)
    if (key == name) return value;
  ADD_FAILURE() << finding.check << " has no " << name;
  return std::nan("");
}

inline Report examine_captured(const std::string& name) {
  const auto machine = make_captured_machine(std::string(PRONY_SOURCE_DIR) + "/tests/machines/" + name);
  return examine(*machine, healthy(), {}, [](Duration) {});
}

}  // namespace prony::doctor
