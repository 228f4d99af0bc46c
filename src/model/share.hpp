// What share of a sum one of its parts is. Pure.
#pragma once

#include <optional>

namespace prony {

// Absent: there is no sum, or parts below zero (less than the baseline) are in it, so that this one is no share of it.
[[nodiscard]] constexpr std::optional<double> share_in(double part, double sum) noexcept {
  constexpr double rounding = 1e-9;
  if (!(sum > 0) || part < -rounding * sum || part > (1 + rounding) * sum) return std::nullopt;
  return part < 0 ? 0 : part > sum ? 1 : part / sum;
}

}  // namespace prony
