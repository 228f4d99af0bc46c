// What Prony uses of the C interface of NVIDIA's management library (NVML): numbers, layouts and types of functions,
// declared anew from the published reference; no header of theirs is needed to build. Status codes stay integers, so
// that a library may answer with one that nobody knows yet. Units stand in the names of functions' wrappers
// (sensors/nvml_library.hpp); here values are as the library gives them. Thread promise: plain data.
// Source: NVML API Reference Guide (docs.nvidia.com/deploy/nvml-api), interface version 13.
#pragma once

#include <array>
#include <string_view>

namespace prony::nvml {

struct DeviceHandle;
using Device = DeviceHandle*;

inline constexpr std::array<std::string_view, 2> library_names{"libnvidia-ml.so.1", "libnvidia-ml.so"};

using Status = int;
inline constexpr Status success = 0, uninitialized = 1, invalid_argument = 2, not_supported = 3, no_permission = 4,
                        not_found = 6, insufficient_size = 7, driver_not_loaded = 9, timeout = 10, irq_issue = 11,
                        function_not_found = 13, gpu_is_lost = 15, reset_required = 16, operating_system = 17,
                        version_mismatch = 18, in_use = 19, out_of_memory = 20, no_data = 21, not_ready = 27,
                        gpu_not_found = 28, unknown = 999;

enum : unsigned {  // nvmlDeviceGetArchitecture
  arch_pascal = 4,
  arch_volta = 5,
  arch_turing = 6,
  arch_ampere = 7,
  arch_ada = 8,
  arch_hopper = 9,
  arch_blackwell = 10,
  arch_unknown = 0xffffffff,
};

enum : int { clock_graphics = 0, clock_sm = 1, clock_memory = 2 };  // nvmlDeviceGetClockInfo
inline constexpr int temperature_gpu = 0;
enum : int {  // nvmlDeviceGetViolationStatus
  policy_power = 0,
  policy_thermal = 1,
  policy_sync_boost = 2,
  policy_board_limit = 3,
  policy_low_utilization = 4,
  policy_reliability = 5,
};
enum : int { pcie_sent = 0, pcie_received = 1 };  // nvmlDeviceGetPcieThroughput: KB/s over 20 ms

enum : unsigned {  // nvmlDeviceGetFieldValues
  field_violation_power = 74,
  field_violation_thermal = 75,
  field_violation_sync_boost = 76,
  field_violation_board_limit = 77,
  field_violation_low_utilization = 78,
  field_violation_reliability = 79,
  field_memory_temperature = 82,
  field_total_energy = 83,
  field_power_average = 185,  // mW, over 1 s
  field_power_instant = 186,  // mW
  field_pcie_tx_bytes = 197,
  field_pcie_rx_bytes = 198,
};
// What stands for nothing where a function answers with success all the same.
inline constexpr unsigned blank_unsigned = 0xffffffff;
inline constexpr unsigned long long blank_long = 0xffffffffffffffffULL;
enum : unsigned { scope_gpu = 0, scope_module = 1 };

enum : int {
  value_double = 0,
  value_unsigned = 1,
  value_unsigned_long = 2,
  value_unsigned_long_long = 3,
  value_signed_long_long = 4,
  value_signed = 5,
  value_unsigned_short = 6
};

union Value {
  double d;
  unsigned ui;
  unsigned long ul;
  unsigned long long ull;
  long long sll;
  int si;
  unsigned short us;
};
struct FieldValue {
  unsigned field = 0;
  unsigned scope = 0;
  long long time_us = 0;     // since 1970
  long long latency_us = 0;  // how long it took the driver
  int type = 0;
  Status status = 0;
  Value value{};
};
static_assert(sizeof(FieldValue) == 40);

struct Utilization {
  unsigned gpu = 0, memory = 0;  // percent of the past sample period
};
struct Memory {
  unsigned long long total = 0, free = 0, used = 0;
};
struct PciInfo {
  char bus_id_legacy[16] = {};
  unsigned domain = 0, bus = 0, device = 0, device_id = 0, subsystem_id = 0;
  char bus_id[32] = {};
};
static_assert(sizeof(PciInfo) == 68);
struct ProcessInfo {
  unsigned pid = 0;
  unsigned long long used_bytes = 0;
  unsigned gpu_instance = 0xffffffff, compute_instance = 0xffffffff;
};
static_assert(sizeof(ProcessInfo) == 24);
struct ProcessSample {
  unsigned pid = 0;
  unsigned long long time_us = 0;
  unsigned sm = 0, memory = 0, encoder = 0, decoder = 0;  // percent
};
static_assert(sizeof(ProcessSample) == 32);
struct ViolationTime {
  unsigned long long reference_us = 0, violation_ns = 0;
};
struct C2cMode {
  unsigned enabled = 0;
};

// Bits of nvmlDeviceGetCurrentClocksEventReasons.
inline constexpr unsigned long long reason_idle = 0x1, reason_application_clocks = 0x2, reason_power_cap = 0x4,
                                    reason_hardware_slowdown = 0x8, reason_sync_boost = 0x10,
                                    reason_thermal_slowdown = 0x20, reason_hardware_thermal = 0x40,
                                    reason_power_brake = 0x80, reason_display_clocks = 0x100;

}  // namespace prony::nvml
