// LookPace: when the list of processes is looked at next. Pure.
// Plain: every `period`. Sparing, beside ticks that are far apart: looks take about 1/1000 of the time (of a Run, whose
// end is near, 1/400), come at most a second or a tick after the one before, and the last look before a tick ends just
// before it. What ticks tell is then as new as with a look every 100 ms, for one look a tick. Thread promise: any.
#pragma once

#include <algorithm>
#include <optional>

#include "model/time.hpp"

namespace prony {

class LookPace {
 public:
  // `ticks`: the time between two of them; nullopt: plain. `cost_factor`: looks take one in so many parts of the time.
  LookPace(Duration period, std::optional<Duration> ticks, std::int64_t cost_factor = for_months) noexcept
      : period_(period), ticks_(ticks), cost_factor_(cost_factor) {}

  // After a look that began at `begin` and took `cost`. `tick`: when the last one was; nullopt: there was none yet.
  [[nodiscard]] Instant next(Instant begin, Duration cost, std::optional<Instant> tick) const noexcept {
    if (!ticks_) return begin + period_;
    const Duration wanted = std::clamp(cost_factor_ * cost, period_, std::max(period_, longest));
    const Duration step{ticks_->ns / std::max<std::int64_t>(1, (ticks_->ns + wanted.ns - 1) / wanted.ns)};
    if (!tick || step < period_) return begin + wanted;
    const Duration lead = std::min(std::max(least_lead, 4 * cost), Duration{step.ns / 2});
    const Instant first = *tick - lead;
    const std::int64_t early = step.ns / 10;  // a look that came a little before its time is that look
    return first + ((begin - first).ns + early) / step.ns * step + step;
  }
  // For how long births and ends may wait in the kernel, which keeps a few megabytes of them.
  [[nodiscard]] Duration pump() const noexcept {
    return ticks_ ? milliseconds(250) : std::min(period_, milliseconds(100));
  }

  static constexpr Duration longest = milliseconds(1'000), least_lead = milliseconds(20);
  static constexpr std::int64_t for_months = 1000, for_a_run = 400;

 private:
  Duration period_;
  std::optional<Duration> ticks_;
  std::int64_t cost_factor_;
};

}  // namespace prony
