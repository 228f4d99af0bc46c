#include "sensors/gpu_metrics.hpp"

#include <algorithm>
#include <array>

namespace prony {

namespace {

// Naturally aligned, as a 64-bit kernel lays them out. 1.4 and 1.5 name the unit (2^-16 J); the older ones do not.
constexpr std::array<GpuMetricsLayout, 6> layouts{{{1, 0, 80, 36, 4, false},
                                                   {1, 1, 96, 24, 8, false},
                                                   {1, 2, 104, 24, 8, false},
                                                   {1, 3, 120, 24, 8, false},
                                                   {1, 4, 288, 24, 8, true},
                                                   {1, 5, 328, 56, 8, true}}};

// Little-endian, as every machine with such a card is.
std::uint64_t little_endian(std::span<const char> bytes) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

std::optional<GpuMetricsLayout> gpu_metrics_layout(std::span<const char> table) noexcept {
  if (table.size() < 4) return std::nullopt;
  const auto size = little_endian(table.first(2)), format = little_endian(table.subspan(2, 1)),
             content = little_endian(table.subspan(3, 1));
  const auto* const found = std::ranges::find_if(
      layouts, [&](const GpuMetricsLayout& one) { return one.format == format && one.content == content; });
  if (found == layouts.end() || size != found->size || table.size() < found->size) return std::nullopt;
  return *found;
}

std::optional<std::uint64_t> gpu_metrics_energy(std::span<const char> table, const GpuMetricsLayout& layout) noexcept {
  const auto now = gpu_metrics_layout(table);
  if (!now || now->format != layout.format || now->content != layout.content) return std::nullopt;
  const auto counts = little_endian(table.subspan(layout.energy, layout.width));
  const auto blank = layout.width == 8 ? UINT64_MAX : (std::uint64_t{1} << 8 * layout.width) - 1;
  if (counts == blank) return std::nullopt;
  return counts;
}

}  // namespace prony
