#include "calibrate/fitted_model.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

namespace prony::calibrate {

namespace {

constexpr double same_figure = 1e-6;  // as a share: what a round trip through text may change

bool same(double a, double b) { return std::abs(a - b) <= same_figure * std::max(std::abs(a), std::abs(b)); }

Unexpected<Error> not_applied(const std::string& why) {
  return fail(ErrorCode::unavailable, "the kept calibration is not applied: " + why, {},
              "`prony calibrate` makes it again");
}

}  // namespace

std::optional<ModelFigures> figures_of(const Channel& channel, bool clocks) {
  if (!channel.model) return std::nullopt;
  const PowerModel& model = *channel.model;
  return ModelFigures{model.name, model.cpus, model.idle.value(), model.full.value(),
                      clocks && model.reference_clock_hz};
}

// The prediction's half width is a convex function of the power (docs/calibrate.md), so its chord from idle to the
// largest power that the model can give lies above it everywhere between: wider, never narrower.
Result<bool> calibrate_channel(const Calibration& calibration, std::optional<bool> clocks, Channel& channel) {
  if (!channel.model || channel.origin != Origin::modelled) return false;
  if (calibration.from.size() != 1 || calibration.from.front() != channel.name) return false;
  if (!calibration.model) return not_applied("it was made before modelled channels could be calibrated");
  const ModelFigures& then = *calibration.model;
  const ModelFigures now = *figures_of(channel, clocks.value_or(then.clocks));
  if (!same(then.idle_w, now.idle_w) || !same(then.full_w, now.full_w) || !same(then.cpus, now.cpus))
    return not_applied("the model was another then: " + then.name + ", " + format_number(then.idle_w) + " to " +
                       format_number(then.full_w) + " W");
  if (then.clocks != now.clocks && clocks)
    return not_applied(then.clocks ? "the processor's clocks were read then and are not now"
                                   : "the processor's clocks were not read then and are now");
  const auto line = fit(calibration.steps);
  if (!line) return not_applied(line.error().what);
  PowerModel& model = *channel.model;
  const double idle_w = model.idle.value(), load_w = model.full.value() - idle_w;
  const double limit = model.clock_limit > 0 && model.clock_limit <= 1 ? model.clock_limit : 1;
  if (const auto held = watts_at(*line, idle_w); !held) return not_applied(held.error().what);
  const auto at = [&](double x_w) { return apply(*line, {x_w, x_w, x_w, EstimateKind::range}, 1); };
  const Estimate idle = at(idle_w), most = at(idle_w + load_w / limit);
  for (const Estimate& end : {idle, most})
    if (!std::isfinite(end.value) || !std::isfinite(end.low) || !std::isfinite(end.high))
      return not_applied("its line gives no finite watts");
  const auto along = [&](double first, double last) { return Watts(first + (last - first) * limit); };
  model.idle = Watts(idle.value), model.idle_low = Watts(idle.low), model.idle_high = Watts(idle.high);
  model.full = along(idle.value, most.value);
  model.full_low = along(idle.low, most.low), model.full_high = along(idle.high, most.high);
  model.source = "a line through " + std::to_string(line->steps.size()) + " steps of load, residual " +
                 format_fixed(line->residual_w, 3) + " W, R² " + format_fixed(line->r2, 5) + ", over " + model.name +
                 " (" + model.source + ")";
  model.name = "calibrated against " + calibration.meter + " on " + calibration.taken_utc.substr(0, 10);
  channel.origin = Origin::derived;
  if (calibration.whole_machine) channel.domain = "wall";  // the joules are the meter's, and that is what it meters
  return true;
}

}  // namespace prony::calibrate
