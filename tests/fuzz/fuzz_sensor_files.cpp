// parts: sensors
// Any text in every file that a sensor probes and reads: the first byte says in which kind of file it stands, the rest
// is the text. Every catalogue row is made on such a machine and read twice.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "machine/simulated.hpp"
#include "sensors/busy_time.hpp"
#include "sensors/report.hpp"
#include "sensors/sensor.hpp"

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
                                 "/proc/self/cgroup"};
constexpr std::size_t count = sizeof files / sizeof files[0];

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data + 1), size - 1);
  (void)prony::busy_usec_of_cpu_stat(text);
  (void)prony::busy_ticks_of_proc_stat(text);
  prony::SimulatedMachine machine;
  for (std::size_t i = 0; i < count; ++i) machine.set_file(files[i], i == data[0] % count ? text : std::string("1000"));
  for (const prony::SensorRow& row : prony::sensor_catalogue()) {
    const prony::Probe probe = row.make(machine, {});
    if (!probe.sensor) continue;
    std::vector<prony::Reading> readings(probe.sensor->channels().size());
    for (int round = 0; round < 2; ++round) probe.sensor->read(readings);
    (void)probe.sensor->complaints();
  }
  return 0;
}
