// parts: doctor
// Any text in the files that the doctor looks at: a screen and JSON come out, of printable text and finite numbers.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "doctor/doctor.hpp"
#include "machine/simulated.hpp"

namespace {
constexpr const char* files[] = {"/proc/stat",
                                 "/proc/meminfo",
                                 "/proc/vmstat",
                                 "/proc/cpuinfo",
                                 "/proc/5/stat",
                                 "/proc/self/cgroup",
                                 "/proc/1/cgroup",
                                 "/proc/self/mountinfo",
                                 "/proc/sys/kernel/perf_event_paranoid",
                                 "/proc/sys/kernel/osrelease",
                                 "/sys/hypervisor/type",
                                 "/sys/class/powercap/intel-rapl:0/energy_uj",
                                 "/sys/class/powercap/intel-rapl:0/name",
                                 "/sys/class/powercap/intel-rapl:0/max_energy_range_uj",
                                 "/sys/fs/cgroup/cpu.max",
                                 "/sys/fs/cgroup/memory.max",
                                 "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor",
                                 "/sys/devices/system/cpu/cpufreq/boost",
                                 "/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count",
                                 "/sys/devices/platform/soc/soc:firmware/get_throttled",
                                 "/sys/devices/system/clocksource/clocksource0/current_clocksource"};
constexpr std::size_t count = sizeof files / sizeof files[0];
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string text(reinterpret_cast<const char*>(data + 2), size - 2);
  prony::SimulatedMachine machine;
  for (std::size_t i = 0; i < count; ++i)
    machine.set_file(files[i], i == data[0] % count || i == data[1] % count ? text : "1000");
  const auto report = prony::doctor::examine(machine, {}, {}, [&](prony::Duration length) { machine.advance(length); });
  for (const auto& finding : report.findings)
    for (const auto& [name, value] : finding.numbers)
      if (!std::isfinite(value)) __builtin_trap();
  for (const auto& source : report.energy)
    if (!std::isfinite(source.shortest_window_s) || source.shortest_window_s <= 0) __builtin_trap();
  for (const char c : prony::doctor::to_text(report, 100, false))
    if (static_cast<unsigned char>(c) < ' ' && c != '\n') __builtin_trap();
  (void)prony::doctor::to_json(report);
  return 0;
}
