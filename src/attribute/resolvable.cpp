#include "attribute/resolvable.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

namespace prony::attribution {

namespace {

constexpr double updates_to_miss = 10;

// How much of a window lies before a channel's first reading and after its last one.
struct Unread {
  double before_s = 0, after_s = 0;
  // More than one late tick or a slow counter explains: the sensor was not there.
  [[nodiscard]] bool matters(const Curve& curve, double length_s) const {
    return before_s + after_s > std::max({0.25, 2 * curve.period_s(), 0.1 * length_s});
  }
};
Unread unread(const Curve& curve, Interval window) {
  return {std::max(0.0, seconds_of(std::min(curve.first_ns(), window.end.ns) - window.begin.ns)),
          std::max(0.0, seconds_of(window.end.ns - std::max(curve.last_ns(), window.begin.ns)))};
}

}  // namespace

std::string why_unbounded(const Curve& curve) {
  if (!curve.any() || !curve.is_counter() || curve.channel().model || curve.whole().known) return {};
  const std::uint64_t moved = curve.counter()->transitions();
  if (moved == 0) return {};
  return "recorded " + format_number(std::round(curve.total() * 1e6) / 1e6) + " J, no bounds told: " +
         (moved == 1 ? "it is the difference of two readings, and between them nothing was seen"
                     : "the counter moved only twice while it was read");
}

std::string why_not_resolvable(const Curve& curve, const Measured& measured, Interval window) {
  const Unread missing = unread(curve, window);
  if (missing.matters(curve, window.length().seconds().value())) {
    const auto tenths = [](double s) {
      const auto n = std::llround(s * 10);
      return std::to_string(n / 10) + "." + std::to_string(n % 10) + " s";
    };
    std::string text = "the sensor gave no reading";
    if (missing.before_s > 0.05) text += " in the first " + tenths(missing.before_s);
    if (missing.after_s > 0.05)
      text += (missing.before_s > 0.05 ? " and" : "") + (" in the last " + tenths(missing.after_s));
    return text + " of the window";
  }
  if (std::string why = measured.known ? std::string() : why_unbounded(curve); !why.empty()) return why;
  if (!measured.known) return "the counter did not move while it was read";
  // Longer would not help: what counts at all would have counted by now.
  if (curve.is_counter() && measured.estimate.value == 0 && curve.period_s() > 0 &&
      window.length().seconds().value() >= updates_to_miss * curve.period_s())
    return "the counter stands still: it can be read, but did not move in a time of many of its updates";
  if (const std::int64_t mean_ns = curve.is_counter() ? 0 : curve.channel().averaging_window.ns; mean_ns > 0)
    return "the window is too short for this sensor, whose readings are means over " +
           std::to_string(mean_ns / 1'000'000) + " ms: what ran inside cannot be told from what ran beside it";
  return "the window is too short for this sensor";
}

std::string why_no_clock(const Attribution::State& state, const PowerModel& model) {
  if (std::ranges::none_of(state.folds, &Fold::cpu_clock))
    return "no clock of the processor was recorded: low and high allow for any at or above the base clock";
  return model.reference_clock_hz ? "no clock of the processor was read in the window"
                                  : "the clock at which the model's figures hold was not recorded";
}

std::optional<double> needed_s(const Curve& curve, const Measured& measured, Interval window) {
  const double length_s = window.length().seconds().value();
  if (!measured.known || unread(curve, window).matters(curve, length_s)) return std::nullopt;
  double power = length_s > 0 ? std::abs(measured.estimate.value) / length_s : 0;
  const double whole_s = seconds_of(curve.last_ns() - curve.first_ns());
  if (power <= 0 && whole_s > 0) power = std::abs(curve.total()) / whole_s;
  if (power <= 0) return std::nullopt;
  return measured.edge_half / (largest_edge_share * power);
}

}  // namespace prony::attribution
