// The binary table gpu_metrics of a card under amdgpu: where its energy accumulator stands, and what that counts.
// Units: counts of 2^-16 J (15.259 µJ). Thread promise: pure functions. Errors: nullopt, for a table that is too short,
// of another kind, or says that it does not count (all bits set).
// Source: drivers/gpu/drm/amd/include/kgd_pp_interface.h (struct metrics_table_header, gpu_metrics_v1_0 to v1_5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace prony {

struct GpuMetricsLayout {
  std::uint8_t format = 0, content = 0;  // "v1.3": 1, 3
  std::size_t size = 0;                  // bytes of the whole table
  std::size_t energy = 0;                // where the accumulator stands
  std::size_t width = 8;                 // its bytes
  bool unit_documented = true;           // false: only AMD's tools say what it counts
};
inline constexpr std::size_t gpu_metrics_most_bytes = 4096;  // a sysfs file

// The layout that a table's header names, if the table is as long as the header and the layout say.
[[nodiscard]] std::optional<GpuMetricsLayout> gpu_metrics_layout(std::span<const char> table) noexcept;
// The accumulator of a table of that layout; a table that has become another gives nothing.
[[nodiscard]] std::optional<std::uint64_t> gpu_metrics_energy(std::span<const char> table,
                                                              const GpuMetricsLayout& layout) noexcept;

}  // namespace prony
