// DCMI's "Get Power Reading" as a BMC answers it, and as ipmitool prints it: pure functions. Watts and milliseconds.
// Source: Intel/Dell/HP/NEC, "Data Center Manageability Interface Specification" 1.5, §6.6.1 (network function 0x2c,
// command 0x02, group 0xdc); IPMI 2.0, table 5-2 (completion codes). Thread promise: pure; only what returns a string
// allocates.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace prony {

inline constexpr std::uint8_t dcmi_network_function = 0x2c, dcmi_get_power_reading = 0x02;
// Group, mode 1 (system power statistics), two reserved bytes.
inline constexpr std::array<std::uint8_t, 4> dcmi_power_request{0xdc, 0x01, 0x00, 0x00};

struct DcmiPower {
  std::uint32_t now_w = 0;
  std::uint32_t average_w = 0;  // over period_ms
  std::uint32_t period_ms = 0;  // over which the BMC keeps its statistics; 0: not told
  bool active = false;          // it measures; else the watts mean nothing
};

// The answer's bytes, completion code first. nullopt: not the answer to this question, or the BMC refused.
[[nodiscard]] std::optional<DcmiPower> dcmi_power(std::span<const std::uint8_t> answer) noexcept;
// What `ipmitool dcmi power reading` prints.
[[nodiscard]] std::optional<DcmiPower> dcmi_power(std::string_view printed) noexcept;
// "the BMC is busy" for a completion code; never empty.
[[nodiscard]] std::string ipmi_completion_words(std::uint8_t code);

}  // namespace prony
