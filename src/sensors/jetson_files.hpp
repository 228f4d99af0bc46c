// Where a Jetson keeps what it tells of its GPU, memory, fan, power mode and release; paths differ by module and L4T
// release. Shared by the jetson sensor and the machine's facts.
// Units: in the names. Thread promise: pure functions of a Machine. Errors: what is not there is empty.
// Source: Jetson Linux Developer Guide, editions 28 to 38; NVIDIA's forum 107479 (memory).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "machine/machine.hpp"

namespace prony {

[[nodiscard]] std::vector<std::string> names_in(Machine& machine, const std::string& folder);

inline constexpr std::string_view nvpmodel_status_file = "/var/lib/nvpmodel/status";

struct JetsonGpu {
  std::string load;     // file of 0…1000; "": none (a Thor's GPU is read through NVML)
  std::string devfreq;  // folder with cur_freq, min_freq, max_freq; "": none
};
[[nodiscard]] JetsonGpu jetson_gpu(Machine& machine);
[[nodiscard]] std::string jetson_fan_duty(Machine& machine);  // file of 0…255

// Candidates, best first: mean activity of the memory controller, and its clock in Hz.
[[nodiscard]] std::span<const std::string_view> jetson_memory_activity_files() noexcept;
[[nodiscard]] std::span<const std::string_view> jetson_memory_clock_files() noexcept;
// Load in thousandths out of both; nullopt: no clock, or more than all of it, which no memory has.
[[nodiscard]] std::optional<std::int64_t> jetson_memory_load(std::int64_t activity, std::int64_t clock_hz) noexcept;

[[nodiscard]] std::string jetson_power_mode(Machine& machine);   // "MAXN (mode 0)"; "" not told
[[nodiscard]] std::string jetson_clocks_held(Machine& machine);  // "yes", "no", "in part: GPU"; "" not told
[[nodiscard]] std::string jetson_release(Machine& machine);      // "L4T 36.4.3"; "" not told

}  // namespace prony
