// The parts of learning, each told apart so that each can be held against a stream whose truth is known. Pure.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "passport/learn.hpp"

namespace prony::passport {

// A change of the reading. It happened between the begin of the read before and the end of the read that saw it.
struct Transition {
  std::size_t tick = 0;  // of the read that saw it
  std::int64_t low_ns = 0;
  std::int64_t high_ns = 0;
  double counts = 0;  // signed change; a counter's wraps undone
  [[nodiscard]] double middle_ns() const {
    return 0.5 * static_cast<double>(low_ns) + 0.5 * static_cast<double>(high_ns);
  }
  [[nodiscard]] double width_ns() const { return static_cast<double>(high_ns - low_ns); }
};

struct Transitions {
  std::vector<Transition> list;
  std::uint64_t reads = 0, gaps = 0, resets = 0;
  double poll_ns = 0;  // median distance of begins; 0: fewer than two reads
};
[[nodiscard]] Transitions find_transitions(const Channel& channel, const Ticks& ticks);

// When updates come. Absent figures have their reason.
struct PeriodFit {
  std::optional<double> period_ns, spread_ns, faster_than_ns, phase_ns, phase_doubt_ns, jitter_ns;
  std::string why_no_period, why_no_phase, why_no_jitter;
};
[[nodiscard]] PeriodFit fit_period(const Transitions& transitions);

// The greatest common step of changes, in counts; rounding of the reading to whole counts is borne with.
struct StepFit {
  std::optional<double> counts;
  std::string why_not;
};
[[nodiscard]] StepFit fit_step(std::span<const Transition> transitions);

// How long a gauge averages, told by the ramps that steps of the load leave.
struct WindowFit {
  std::optional<double> window_ns;
  std::string how;      // if told
  std::string why_not;  // if not
};
[[nodiscard]] WindowFit fit_window(std::span<const Transition> transitions, double period_ns,
                                   std::span<const Instant> load_steps);

// The value below which `fraction` of them lie; `values` must not be empty. Reorders them.
[[nodiscard]] inline double quantile(std::vector<double>& values, double fraction) {
  const auto at = static_cast<std::ptrdiff_t>(fraction * static_cast<double>(values.size() - 1) + 0.5);
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}
[[nodiscard]] inline double median(std::vector<double> values) { return quantile(values, 0.5); }

// "1.35 ms", "20 µs", "3.2 s": three digits.
[[nodiscard]] std::string time_words(double ns);

}  // namespace prony::passport
