// parts: sensors
// Any text in every file that a sensor probes and reads: the first byte says in which kind of file it stands, the rest
// is the text. Every catalogue row is made on such a machine and read twice.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "machine/simulated.hpp"
#include "sensors/busy_time.hpp"
#include "sensors/machine_facts.hpp"
#include "sensors/own_cgroup.hpp"
#include "sensors/report.hpp"
#include "sensors/sensor.hpp"
#include "sensors/storage.hpp"

namespace {

constexpr const char* files[] = {"/sys/class/powercap/intel-rapl:0/name",
                                 "/sys/class/powercap/intel-rapl:0/energy_uj",
                                 "/sys/class/powercap/intel-rapl:0/max_energy_range_uj",
                                 "/sys/class/powercap/intel-rapl:0/constraint_0_max_power_uw",
                                 "/sys/class/powercap/intel-rapl:0:0/name",
                                 "/sys/class/powercap/intel-rapl:0:0/energy_uj",
                                 "/sys/class/hwmon/hwmon0/name",
                                 "/sys/class/hwmon/hwmon0/power1_input",
                                 "/sys/class/hwmon/hwmon0/power1_label",
                                 "/sys/class/hwmon/hwmon0/energy1_input",
                                 "/sys/class/hwmon/hwmon0/in1_input",
                                 "/sys/class/hwmon/hwmon0/curr1_input",
                                 "/sys/class/hwmon/hwmon0/temp1_input",
                                 "/sys/class/hwmon/hwmon0/fan1_input",
                                 "/sys/class/hwmon/hwmon0/update_interval",
                                 "/sys/class/thermal/thermal_zone0/type",
                                 "/sys/class/thermal/thermal_zone0/temp",
                                 "/sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq",
                                 "/proc/stat",
                                 "/proc/meminfo",
                                 "/proc/cpuinfo",
                                 "/proc/self/mountinfo",
                                 "/proc/self/cgroup",
                                 "/proc/vmstat",
                                 "/proc/self/smaps",
                                 "/proc/pressure/memory",
                                 "/proc/net/dev",
                                 "/proc/swaps",
                                 "/proc/cmdline",
                                 "/sys/block/sda/stat",
                                 "/sys/fs/cgroup/cpu.stat",
                                 "/sys/fs/cgroup/cpu.max",
                                 "/sys/fs/cgroup/memory.max",
                                 "/sys/devices/system/cpu/cpu0/cpuidle/state0/name",
                                 "/sys/devices/system/cpu/cpu0/cpuidle/state0/time",
                                 "/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count",
                                 "/sys/devices/system/cpu/cpu0/topology/physical_package_id",
                                 "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor",
                                 "/sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq",
                                 "/sys/devices/system/cpu/vulnerabilities/mds",
                                 "/sys/devices/system/node/online",
                                 "/sys/class/power_supply/BAT0/status",
                                 "/sys/class/power_supply/BAT0/power_now",
                                 "/sys/class/power_supply/BAT0/charge_now",
                                 "/sys/class/power_supply/BAT0/voltage_min_design",
                                 "/sys/class/dmi/id/product_name",
                                 "/sys/bus/event_source/devices/power/type",
                                 "/sys/bus/event_source/devices/power/cpumask",
                                 "/sys/bus/event_source/devices/power/events/energy-pkg",
                                 "/sys/bus/event_source/devices/power/events/energy-pkg.scale",
                                 "/sys/bus/event_source/devices/power/events/energy-pkg.unit",
                                 "/sys/class/powercap/intel-rapl:0/constraint_0_name",
                                 "/sys/class/drm/card0/device/gpu_metrics"};
constexpr std::size_t count = sizeof files / sizeof files[0];

// What stands in a file that is not under test; most hold a number.
std::string usual(const std::string& path) {
  if (path == "/proc/self/cgroup") return "0::/\n";
  if (path == "/proc/self/mountinfo")
    return "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n27 1 259:2 / / rw - ext4 /dev/sda2 rw\n";
  if (path.ends_with("/events/energy-pkg")) return "event=0x02";
  if (path.ends_with("/energy-pkg.scale")) return "2.3283064365386962890625e-10";
  if (path.ends_with("/energy-pkg.unit")) return "Joules";
  return "1000";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data + 1), size - 1);
  (void)prony::busy_usec_of_cpu_stat(text);
  (void)prony::busy_ticks_of_proc_stat(text);
  (void)prony::cpu_times_of_proc_stat(text);
  (void)prony::mount_points(text);
  (void)prony::power_options(text);
  prony::SimulatedMachine machine;
  machine.set_perf({1000, 2}, 1000, [](prony::Instant) { return std::uint64_t{1000}; });
  machine.set_file("/sys/class/power_supply/BAT0/type", "Battery");
  machine.set_file("/sys/class/drm/card0/device/vendor", "0x1002");
  machine.set_file("/sys/fs/cgroup/cgroup.procs", "");
  machine.set_file("/sys/fs/cgroup/cgroup.events", "");
  for (std::size_t i = 0; i < count; ++i) machine.set_file(files[i], i == data[0] % count ? text : usual(files[i]));
  for (const prony::SensorRow& row : prony::sensor_catalogue()) {
    const prony::Probe probe = row.make(machine, {});
    if (!probe.sensor) continue;
    std::vector<prony::Reading> readings(probe.sensor->channels().size());
    for (int round = 0; round < 2; ++round) probe.sensor->read(readings);
    (void)probe.sensor->changes();
    (void)probe.sensor->complaints();
  }
  prony::Manifest manifest;
  prony::describe_machine(machine, manifest);
  if (const auto storage = prony::storage_of(machine, "/models/model.gguf")) (void)prony::storage_words(*storage);
  return 0;
}
