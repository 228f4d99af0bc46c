// (c) Power of layers from readings that each average many of them: least squares of the readings on how much of each
// reading's window each layer filled (the sensor's window is the kernel), with no power below zero (Lawson and Hanson
// 1974, ch. 23). Rank and condition say whether the windows tell the layers apart at all; intervals come from drawing
// blocks of neighbouring windows anew (Künsch 1989), with the ordinary solution, clipped at zero. Pure; the seed is
// fixed, so that the same readings give the same figures.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "layers/energy.hpp"

namespace prony::layers {

// Rows of shares (0…1) of a window that each layer filled, one after the other, and each window's reading in watts.
// What no layer filled was idle, whose power is a column of its own: the last.
struct Occupancy {
  std::size_t layers = 0;
  std::vector<double> shares;  // layers × windows
  std::vector<double> watts;
  [[nodiscard]] std::size_t windows() const { return watts.size(); }
};

inline constexpr double narrow_enough = 0.25;
struct RegressedLayer {
  Interval95 gross_w;
  bool resolved = false;  // half the interval is at most `narrow_enough` of what is above idle
};
struct Regression {
  std::vector<RegressedLayer> layers;
  std::optional<Interval95> idle_w;  // absent: layers filled every window
  std::size_t rank = 0, columns = 0, windows = 0;
  double condition = 0;   // of columns scaled to length 1
  double residual_w = 0;  // deviation of readings from what is told
};

inline constexpr std::size_t windows_per_column = 5;
// Refused, with the reason: too few windows, or layers that come in the same mix in every window (rank below columns).
[[nodiscard]] Expected<Regression, std::string> regress(const Occupancy& occupancy);

}  // namespace prony::layers
