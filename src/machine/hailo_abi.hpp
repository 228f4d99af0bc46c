// What Prony uses of the C interface of Hailo's runtime library (HailoRT): numbers and layouts, declared anew from the
// published header; no header of theirs is needed to build. Status codes stay integers, so that a library may answer
// with one that nobody knows yet. Thread promise: plain data. Units: °C; W where power is asked for.
// Source: hailo/hailort.h (github.com/hailo-ai/hailort) of 4.6.0, 4.15.0, 4.20.0, 4.23.0 and 5.2.0: a program compiled
// against each of the five printed the same sizes, offsets and numbers for all that is here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace prony::hailo {

struct DeviceHandle;
using Device = DeviceHandle*;

// Its name bears the whole version (libhailort.so.4.23.0); every package has the plain name beside it.
inline constexpr std::array<std::string_view, 1> library_names{"libhailort.so"};

using Status = int;
inline constexpr Status success = 0, invalid_argument = 2, timeout = 4, insufficient_buffer = 5, open_failed = 13,
                        unsupported_firmware = 16, firmware_refused = 18, driver_failed = 36, no_response = 44,
                        unsupported_opcode = 48, not_found = 61, connection_closed = 62, driver_not_installed = 64,
                        not_available = 65, device_in_use = 73, invalid_driver_version = 76, not_supported = 79,
                        driver_invalid_response = 85, driver_invalid_control = 86, driver_timeout = 87;
// Of Prony's own: the library lacks the function.
inline constexpr Status function_not_found = -1;

struct Version {
  std::uint32_t major = 0, minor = 0, revision = 0;
};
struct DeviceId {
  char id[32] = {};  // PCIe: "0001:01:00.0"
};
struct Temperature {
  float sensor_0 = 0, sensor_1 = 0;  // °C
  std::uint16_t samples = 0;         // that the firmware averaged
};
struct Identity {
  std::uint32_t protocol = 0, firmware_major = 0, firmware_minor = 0, firmware_revision = 0, logger = 0;
  std::uint8_t board_name_length = 0;
  char board_name[32] = {};
  bool flags[3] = {};  // two before 5.0, and a byte that nobody uses
  std::int32_t architecture = 0;
  std::uint8_t serial_number_length = 0;  // never read: who owns a board is nobody's business
  char serial_number[16] = {};
  std::uint8_t part_number_length = 0;
  char part_number[16] = {};
  std::uint8_t product_name_length = 0;
  char product_name[42] = {};
};
static_assert(sizeof(DeviceId) == 32 && sizeof(Temperature) == 12 && sizeof(Identity) == 140);
static_assert(offsetof(Identity, board_name) == 21 && offsetof(Identity, architecture) == 56 &&
              offsetof(Identity, product_name) == 95 && offsetof(Temperature, samples) == 8);

// Which supply of the chip hailo_power_measurement() looks at. "Whatever the board has" (INT_MAX) is never asked for:
// on modules it means the sensor of the overcurrent protection, which is off while somebody measures with it.
inline constexpr int supply_core = 0, supply_mipi = 2, supply_analogue = 7, supply_overcurrent_protection = 9,
                     supply_automatic = 0x7fffffff;
// What HailoRT itself adds up to "approximately the whole chip" on boards that have these sensors.
inline constexpr std::array<int, 3> supplies{supply_core, supply_mipi, supply_analogue};
inline constexpr int measure_power = 2;  // W

}  // namespace prony::hailo
