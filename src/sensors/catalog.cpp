// Every sensor there is, in the order in which they are shown: energy first, then conditions, then who used the CPU.
#include <array>

#include "sensors/meter_rows.hpp"
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
  static constexpr std::array<SensorRow, 27> rows{{
      {"rapl", "energy of processor packages, cores, memory, platform (perf, powercap)", make_rapl},
      {"hwmon", "energy and power of chips and supply rails (hwmon)", make_hwmon},
      {"raspberry", "supply rails, clock and throttling of a Raspberry Pi (firmware)", make_raspberry},
      {"nvml", "NVIDIA GPUs: energy, power, load, memory, clocks, limits (NVML)", make_nvml},
      {"amdgpu", "AMD graphics processors: power, load, memory, clocks", make_amdgpu},
      {"intel-gpu", "Intel graphics processors: energy of cards, clock, throttling", make_intel_gpu},
      {"jetson", "NVIDIA Jetson: rails of older kernels, GPU and memory load, power mode", make_jetson},
      {"hailo", "Hailo accelerators: chip temperatures, power where the board measures it", make_hailo},
      {"ipmi", "power of the whole machine as its BMC tells it (IPMI, DCMI)", make_ipmi},
      {"power_supply", "batteries: power drawn, energy left; mains connected or not", make_power_supply},
      {"plug", "the wall: plugs with a meter (Shelly, Tasmota, Kasa)", make_plug},
      {"redfish", "the wall: what a server's BMC says that it draws (Redfish)", make_redfish},
      {"line-meter", "the wall: a meter that writes lines (program, serial port, file)", make_line_meter},
      {"hwmon-climate", "temperatures and fans of chips (hwmon)", make_hwmon_climate},
      {"thermal", "temperatures of thermal zones", make_thermal},
      {"cpufreq", "clock of each processor frequency policy", make_cpufreq},
      {"throttle", "times slowed by heat, limits of clock and power", make_throttle},
      {"cpu", "busy time of all CPUs together", make_cpu},
      {"cycles", "CPU cycles and last-level cache misses, all CPUs together (perf)", make_cycles},
      {"cpuidle", "time of all CPUs in each idle state", make_cpuidle},
      {"memory", "memory and swap used, and what moved between them", make_memory},
      {"pressure", "time lost waiting for CPU, memory and I/O (PSI)", make_pressure},
      {"disk", "bytes read and written by disks, and their busy time", make_disk},
      {"network", "bytes received and sent by network interfaces", make_network},
      {"cgroup", "CPU time and memory of the control group Prony runs in", make_cgroup},
      {"self", "Prony's own CPU time", make_self},
      {"cpu-model", "CPU power modelled from busy time; wide range", make_cpu_model, true},
  }};
  return rows;
}

}  // namespace prony
