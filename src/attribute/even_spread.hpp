// The standard deviation of values that lie evenly anywhere in a range: its width / √12, its half width / √3.
#pragma once

#include <numbers>

namespace prony::attribution {

inline constexpr double root_3 = std::numbers::sqrt3, root_12 = 2 * std::numbers::sqrt3;

}  // namespace prony::attribution
