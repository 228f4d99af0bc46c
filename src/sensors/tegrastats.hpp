// A line of NVIDIA's `tegrastats`: power of rails, load of GPU and memory. The text differs by board and release, so
// nothing of it is taken for granted: what is not understood is passed over, and no number is guessed.
// Units: in the names. Thread promise: pure, no allocation. Source: Jetson Linux Developer Guide, "tegrastats Utility"
// (editions 28 to 38): before L4T 32.6 "VDD_IN 1649/1649", since then "VDD_IN 1649mW/1649mW", now / mean since its
// start.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace prony {

struct TegrastatsRail {
  std::string_view label;    // "VDD_IN"
  std::int64_t now_mw = 0;   // may be below zero: a Thor's GPU rail at rest
  std::int64_t mean_mw = 0;  // since tegrastats was started: of no use to anybody who wants this interval
};

// The next rail of `line` at or after `at`, which moves behind it. nullopt: there is none. Values without a unit are
// taken for power only under labels that Jetson boards are known to have.
[[nodiscard]] std::optional<TegrastatsRail> next_tegrastats_rail(std::string_view line, std::size_t& at) noexcept;

// "GR3D_FREQ 14%@[407,407]" → 14; "EMC_FREQ 1%@2133" → 1. nullopt: not told, or not 0…100.
[[nodiscard]] std::optional<std::int64_t> tegrastats_percent(std::string_view line, std::string_view name) noexcept;

// The last line of what tegrastats printed that has a rail or a load; empty: none.
[[nodiscard]] std::string_view last_tegrastats_line(std::string_view text) noexcept;

}  // namespace prony
