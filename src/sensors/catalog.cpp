// Every sensor there is, in the order in which they are shown: energy first, then conditions, then who used the CPU.
#include <array>

#include "sensors/rows.hpp"

namespace prony {

std::string_view to_string(LaneKind lane) noexcept {
  switch (lane) {
    case LaneKind::fast: return "fast";
    case LaneKind::slow: return "slow";
    case LaneKind::blocking: return "blocking";
  }
  return "unknown";
}

std::span<const SensorRow> sensor_catalogue() {
  static constexpr std::array<SensorRow, 9> rows{{
      {"rapl", "energy of processor packages, cores, memory, platform (powercap)", make_rapl},
      {"hwmon", "energy and power of chips and supply rails (hwmon)", make_hwmon},
      {"hwmon-climate", "temperatures and fans of chips (hwmon)", make_hwmon_climate},
      {"thermal", "temperatures of thermal zones", make_thermal},
      {"cpufreq", "clock of each processor frequency policy", make_cpufreq},
      {"cpu", "busy time of all CPUs together", make_cpu},
      {"memory", "memory used and available", make_memory},
      {"self", "Prony's own CPU time", make_self},
      {"cpu-model", "CPU power modelled from busy time; wide range", make_cpu_model, true},
  }};
  return rows;
}

}  // namespace prony
