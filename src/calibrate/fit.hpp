// fit(): the straight line y = slope · x + offset between the mean powers that software channels (x) and a better meter
// (y) showed over steps of load. Ordinary least squares; intervals are Student's t with n − 2 degrees of freedom over
// the residuals, and on top of them what the readings' own doubts can move the line by at worst, added linearly, for a
// meter's step is the same error in every reading. Watts and joules. Pure; any thread. Errors: unavailable (a line that
// says nothing: too few steps, a load that moved nothing, a bad fit), with what to do. Source: Draper and Smith,
// Applied Regression Analysis, §1.4 and §3.1 (prediction interval).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/charge.hpp"

namespace prony::calibrate {

struct Step {
  std::string name;  // "idle", "50"
  double x_w = 0, y_w = 0;
  double x_doubt_w = 0, y_doubt_w = 0;  // half widths
};

struct Line {
  Estimate slope, offset_w;  // interval_95
  double residual_w = 0;     // standard deviation of the steps about the line
  double r2 = 0;
  double least_x_w = 0, most_x_w = 0;  // where it was seen to hold
  std::vector<Step> steps;
};

inline constexpr double least_r2 = 0.9;
inline constexpr double least_spread = 0.05;  // of x, as a share of its mean: below it no slope can be told
inline constexpr std::size_t least_steps = 3;

[[nodiscard]] Result<Line> fit(std::span<const Step> steps);
// What the meter would have shown at x, watts. Nothing draws less than nothing: where that is not above 0, the line
// says nothing about x, and the error says so.
[[nodiscard]] Result<double> watts_at(const Line& line, double x_w);
// What an offset below 0 means, for it is never clipped; "": it is not below 0.
[[nodiscard]] std::string words_of_offset(const Line& line);
// What the meter would have shown for x joules over `length_s`: joules, with the prediction's interval and the doubt of
// x. A modelled x enters by its value alone: the line was fitted to it, and the range of its coefficients is gone.
[[nodiscard]] Estimate apply(const Line& line, const Estimate& x_j, double length_s);

}  // namespace prony::calibrate
