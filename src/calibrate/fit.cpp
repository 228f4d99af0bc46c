#include "calibrate/fit.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "model/metrics.hpp"

namespace prony::calibrate {

namespace {

struct Sums {
  double n = 0, mean_x = 0, mean_y = 0, sxx = 0, sxy = 0, syy = 0;
};

Sums sums_of(std::span<const Step> steps) {
  Sums s;
  s.n = static_cast<double>(steps.size());
  for (const Step& step : steps) s.mean_x += step.x_w / s.n, s.mean_y += step.y_w / s.n;
  for (const Step& step : steps) {
    s.sxx += (step.x_w - s.mean_x) * (step.x_w - s.mean_x);
    s.sxy += (step.x_w - s.mean_x) * (step.y_w - s.mean_y);
    s.syy += (step.y_w - s.mean_y) * (step.y_w - s.mean_y);
  }
  return s;
}

// By how much the readings' doubts can move the line's height at x, all in the worst direction at once.
double systematic_w(const Line& line, const Sums& s, double x_w) {
  double sum = 0;
  for (const Step& step : line.steps) {
    const double weight = 1 / s.n + (step.x_w - s.mean_x) * (x_w - s.mean_x) / s.sxx;
    sum += std::abs(weight) * (step.y_doubt_w + std::abs(line.slope.value) * step.x_doubt_w);
  }
  return sum;
}

Unexpected<Error> refused(std::string why, std::string fix) {
  return fail(ErrorCode::unavailable, "no calibration: " + std::move(why), {}, std::move(fix));
}

Estimate within(double value, double half) { return {value, value - half, value + half, EstimateKind::interval_95}; }

}  // namespace

Result<Line> fit(std::span<const Step> steps) {
  if (steps.size() < least_steps)
    return refused(std::to_string(steps.size()) + " steps could be read, a line with a doubt takes three",
                   "Ask for more steps or longer ones:  --steps idle,50,100 --for 30s");
  for (const Step& step : steps)
    if (!std::isfinite(step.x_w) || !std::isfinite(step.y_w)) return refused("a step has no finite power", "");
  const Sums s = sums_of(steps);
  const auto [least, most] = std::ranges::minmax_element(steps, {}, &Step::x_w);
  if (!(s.sxx > 0) || most->x_w - least->x_w < least_spread * std::abs(s.mean_x))
    return refused("the load moved what software sees from " + format_number(least->x_w) + " to " +
                       format_number(most->x_w) + " W only",
                   "Nothing else may run meanwhile; take steps that are farther apart:  --steps idle,50,100");
  Line line;
  line.steps.assign(steps.begin(), steps.end());
  line.least_x_w = least->x_w;
  line.most_x_w = most->x_w;
  line.slope = within(s.sxy / s.sxx, 0);
  line.offset_w = within(s.mean_y - line.slope.value * s.mean_x, 0);
  double squares = 0;
  for (const Step& step : steps) {
    const double off = step.y_w - line.offset_w.value - line.slope.value * step.x_w;
    squares += off * off;
  }
  line.residual_w = std::sqrt(squares / (s.n - 2));
  line.r2 = s.syy > 0 ? 1 - squares / s.syy : 0;
  if (line.slope.value <= 0)
    return refused("the meter fell while what software sees rose",
                   "Is it the meter of this machine, and were both read at the same time?");
  if (line.r2 < least_r2)
    return refused("a line explains " + format_fixed(100 * line.r2, 0) + " % of what the meter showed, 90 are wanted",
                   "Let nothing else run, take longer steps, and see that the meter keeps up with them.");
  const double t = metrics::student_t_975(steps.size() - 2);
  double slope_moves = 0;
  for (const Step& step : steps)
    slope_moves +=
        std::abs((step.x_w - s.mean_x) / s.sxx) * (step.y_doubt_w + std::abs(line.slope.value) * step.x_doubt_w);
  const double at_zero = std::sqrt(1 / s.n + s.mean_x * s.mean_x / s.sxx);
  line.slope = within(line.slope.value, t * line.residual_w / std::sqrt(s.sxx) + slope_moves);
  line.offset_w = within(line.offset_w.value, t * line.residual_w * at_zero + systematic_w(line, s, 0));
  if (const auto least_w = watts_at(line, line.least_x_w); !least_w)
    return refused(least_w.error().what + ", and that was the lightest step",
                   "Did the meter count during that step? Take longer steps, or steps that are farther apart.");
  return line;
}

Result<double> watts_at(const Line& line, double x_w) {
  const double y_w = line.offset_w.value + line.slope.value * x_w;
  if (y_w > 0) return y_w;
  return fail(ErrorCode::unavailable, "the line gives " + format_fixed(y_w, 2) + " W at the meter for " +
                                          format_fixed(x_w, 2) + " W seen, and nothing draws less than nothing");
}

std::string words_of_offset(const Line& line) {
  if (!(line.offset_w.value < 0)) return {};
  if (line.offset_w.high >= 0) return "the offset cannot be told from 0";
  return "below 0: no idle power, but a line that bends or whose zero is elsewhere; it holds from " +
         format_fixed(line.least_x_w, 2) + " to " + format_fixed(line.most_x_w, 2) + " W seen, not down to 0";
}

Estimate apply(const Line& line, const Estimate& x_j, double length_s) {
  const Sums s = sums_of(line.steps);
  const double x_w = length_s > 0 ? x_j.value / length_s : 0;
  const double value = line.slope.value * x_j.value + line.offset_w.value * length_s;
  const double away = 1 + 1 / s.n + (x_w - s.mean_x) * (x_w - s.mean_x) / s.sxx;
  const double half_w =
      metrics::student_t_975(line.steps.size() - 2) * line.residual_w * std::sqrt(away) + systematic_w(line, s, x_w);
  const bool modelled = x_j.kind == EstimateKind::range;
  const double below = modelled ? 0 : line.slope.value * (x_j.value - x_j.low);
  const double above = modelled ? 0 : line.slope.value * (x_j.high - x_j.value);
  return {value, value - half_w * length_s - below, value + half_w * length_s + above, EstimateKind::interval_95};
}

}  // namespace prony::calibrate
