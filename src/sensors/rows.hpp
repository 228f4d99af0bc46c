// The makers of the catalogue's rows, each defined in the file of its sensor. Only catalog.cpp and tests include it.
#pragma once

#include "sensors/sensor.hpp"

namespace prony {

[[nodiscard]] Probe make_rapl(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_raspberry(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_ipmi(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_hwmon(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_nvml(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_hailo(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_hwmon_climate(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_thermal(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_cpufreq(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_cpu(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_cycles(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_memory(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_cgroup(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_pressure(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_cpuidle(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_disk(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_network(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_amdgpu(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_intel_gpu(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_jetson(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_power_supply(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_throttle(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_self(Machine& machine, const SensorOptions& options);
[[nodiscard]] Probe make_cpu_model(Machine& machine, const SensorOptions& options);

}  // namespace prony
