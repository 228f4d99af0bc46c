#include "layers/legacy.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace prony::layers {

std::int64_t python_milliseconds(double ms) noexcept {
  constexpr double most = 1e12;  // 31 years: no layer takes that long, and the product stays a whole number
  ms = std::clamp(ms, -most, most);
  double whole_ms = 0, whole_us = 0;
  const double below_ms = std::modf(ms, &whole_ms);
  const double below_us = std::modf(below_ms * 1000.0, &whole_us);
  const auto sum = static_cast<std::int64_t>(whole_ms) * 1000 + static_cast<std::int64_t>(whole_us);
  double rest = std::round(below_us);
  if (std::fabs(rest - below_us) == 0.5) {
    const double odd = sum % 2 != 0 ? 1.0 : 0.0;
    rest = 2.0 * std::round((below_us + odd) * 0.5) - odd;
  }
  return sum + static_cast<std::int64_t>(rest);
}

namespace {

class Walk {
 public:
  Walk(PowerLog& log, double idle_uw) : log_(log), idle_uw_(idle_uw) {}

  // false: the log is over, and the row is the last. Errors: those of the log.
  Result<bool> row(const LayerTimes& layer, std::size_t cycle, LegacyRow& row) {
    const std::int64_t end = layer.told_us[cycle];
    const std::int64_t begin = end - python_milliseconds(layer.ms[cycle]);
    PythonSum sum;
    std::size_t count = 0;
    Result<bool> more = true;
    while (more && *more && now_.us < begin) more = step();
    while (more && *more && now_.us <= end) {
      sum.add(now_.microwatt());
      ++count;
      more = step();
    }
    if (!more) return more;
    row.ms = layer.ms[cycle];
    row.with_idle_uw.reset();
    row.without_idle_uw.reset();
    if (count > 0) row.with_idle_uw = sum.value() / static_cast<double>(count);
    // A mean of exactly nothing counts as no power there.
    if (count > 0 && *row.with_idle_uw != 0) row.without_idle_uw = *row.with_idle_uw - idle_uw_;
    return more;
  }

  Result<bool> step() {
    const auto next = log_.next();
    if (!next) return Unexpected<Error>(next.error());
    if (log_.bad_lines() > 0)
      return fail(ErrorCode::malformed,
                  "line " + std::to_string(log_.first_bad_line()) + " of the power log is no reading", {},
                  "EdgeProfiler refuses such a log as well. `prony layers import` reads the rest of it.");
    if (!*next) return false;
    now_ = **next;
    return true;
  }

 private:
  PowerLog& log_;
  double idle_uw_;
  PowerReading now_;
};

}  // namespace

Result<LegacyCount> map_legacy(const Recording& recording, PowerLog& log, double idle_uw,
                               const std::function<void(const LegacyRow&)>& row) {
  std::size_t cycles = 0;
  for (const LayerTimes& layer : recording.layers) {
    if (layer.told_us.size() != layer.ms.size())
      return fail(ErrorCode::unavailable,
                  "layer '" + layer.name.substr(0, 80) + "' has durations, but not when each was told", {},
                  "EdgeProfiler's mapping needs [ms, time] of every layer.");
    cycles = std::max(cycles, layer.ms.size());
  }
  LegacyCount count;
  Walk walk(log, idle_uw);
  const auto first = walk.step();
  if (!first) return Unexpected<Error>(first.error());
  if (!*first) return fail(ErrorCode::malformed, "the power log is empty");
  bool more = true;
  LegacyRow one;
  for (std::size_t cycle = 0; cycle < cycles && more; ++cycle)
    for (std::size_t i = 0; i < recording.layers.size() && more; ++i) {
      if (cycle >= recording.layers[i].ms.size()) continue;
      one.cycle = cycle + 1;
      one.layer = i;
      const auto mapped = walk.row(recording.layers[i], cycle, one);
      if (!mapped) return Unexpected<Error>(mapped.error());
      ++count.rows;
      count.with_power += one.with_idle_uw.has_value();
      row(one);
      more = *mapped;
    }
  count.log_ended = !more;
  count.readings = log.readings();
  return count;
}

}  // namespace prony::layers
