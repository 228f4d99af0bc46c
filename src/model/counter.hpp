// How a counter got from one reading to the next: forward, over its wrap, or not at all (a reset or rubbish).
// Counts are exact integers as read; `scale` and `max_rate` are those of the Channel. Thread promise: pure functions.
// Source: the wrap facts of powercap's energy_uj (Documentation/power/powercap) and of the drivers that restart at 0.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>

#include "model/channel.hpp"

namespace prony {

enum class CounterStep {
  first,    // there is nothing to compare with
  forward,  // as large or larger, and no faster than is believable
  wrapped,  // smaller, and going over `range` explains it at a believable rate
  reset,    // neither: the counter restarted, or the reading is rubbish; its difference means nothing
};

struct CounterRules {
  std::uint64_t range = 0;  // counts; 0 = never wraps
  double scale = 1;         // unit per count
  double max_rate = 0;      // unit per second; 0 = not known
  double resolution = 1;    // counts
};

[[nodiscard]] inline CounterRules counter_rules(const Channel& channel) {
  return {channel.range, channel.scale, channel.max_rate, channel.resolution};
}

struct CounterAdvance {
  CounterStep step = CounterStep::first;
  std::uint64_t counts = 0;  // what it advanced by; 0 for first and reset
  std::uint64_t hidden_wraps =
      0;  // further whole wraps that max_rate would have allowed in the time: the step is ambiguous
};

// `elapsed_s`: the longest time in which the step can have accrued (from the earliest moment of the update that gave
// `before` to the end of the read that gave `now`), update period included.
[[nodiscard]] inline CounterAdvance advance(const CounterRules& rules, std::optional<std::uint64_t> before,
                                            std::uint64_t now, double elapsed_s) {
  if (!before) return {};
  const CounterAdvance reset{CounterStep::reset, 0, 0};
  if (rules.range > 0 && now >= rules.range) return reset;
  const bool backwards = now < *before;
  if (backwards && (rules.range == 0 || *before >= rules.range)) return reset;
  CounterAdvance result;
  result.step = backwards ? CounterStep::wrapped : CounterStep::forward;
  result.counts = backwards ? rules.range - *before + now : now - *before;
  if (rules.max_rate <= 0) {
    // Without a believable rate, half a range is the most that a wrap may explain.
    return backwards && result.counts >= rules.range / 2 ? reset : result;
  }
  const double most_counts = rules.max_rate * elapsed_s / rules.scale + rules.resolution;
  const double counts = static_cast<double>(result.counts);
  if (counts > most_counts) return reset;
  if (rules.range > 0)
    result.hidden_wraps =
        static_cast<std::uint64_t>(std::floor((most_counts - counts) / static_cast<double>(rules.range)));
  return result;
}

}  // namespace prony
