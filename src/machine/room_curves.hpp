// The power curves that the simulated machines are written with.
#pragma once

#include <string_view>

#include "machine/power_curve.hpp"

namespace prony {

// Curves that are part of the program: a slip in one is a bug that every test of a room shows.
[[nodiscard]] inline PowerCurve curve(std::string_view text) {
  return PowerCurve::parse(text).value_or(PowerCurve::constant(Watts(0)));
}
[[nodiscard]] inline PowerCurve watts(double value) { return PowerCurve::constant(Watts(value)); }
[[nodiscard]] inline PowerCurve draws(double idle_w, double dynamic_w, const PowerCurve& load) {
  return watts(idle_w).plus(load.scaled(dynamic_w));
}

}  // namespace prony
