// How long a gauge averages. A mean over a window answers a sudden change of the load with a straight ramp as long as
// the window; a mean that forgets exponentially answers with a curve, which is told apart and not called a window.
// Values are taken update by update; `period_ns` is their distance.
#include "passport/parts.hpp"

namespace prony::passport {

namespace {

constexpr double longest_rest = 3;      // an update this many periods after the one before ends a ramp
constexpr double equal_rises = 0.25;    // spread of a straight ramp's inner rises
constexpr double equal_lengths = 0.15;  // two ramps of unknown cause tell a window if they agree this well

struct Ramp {
  double begin_ns = 0;  // of the first change of it
  double total = 0;     // counts
  std::size_t changes = 0;
  bool straight = false;
  double window_ns = 0;  // if straight and at least three changes
};

double resting_change(std::span<const Transition> list) {
  std::vector<double> sizes;
  for (const auto& one : list) sizes.push_back(std::abs(one.counts));
  return quantile(sizes, 0.5);
}

// Its first and last change may hold only a part of an update's worth of rise.
Ramp measure(std::span<const Transition> run, double period_ns) {
  Ramp ramp;
  ramp.begin_ns = run.front().middle_ns();
  ramp.changes = run.size();
  for (const auto& one : run) ramp.total += one.counts;
  if (run.size() < 4) return ramp;
  std::vector<double> inner;
  for (std::size_t i = 1; i + 1 < run.size(); ++i) inner.push_back(std::abs(run[i].counts));
  double sum = 0, squares = 0;
  for (const double rise : inner) sum += rise;
  const double mean = sum / static_cast<double>(inner.size());
  for (const double rise : inner) squares += (rise - mean) * (rise - mean);
  ramp.straight = std::sqrt(squares / static_cast<double>(inner.size())) <= equal_rises * mean;
  ramp.window_ns = std::abs(ramp.total) / mean * period_ns;
  return ramp;
}

// Runs of changes in one direction, each well above what the value does at rest.
std::vector<Ramp> find_ramps(std::span<const Transition> list, double period_ns) {
  std::vector<Ramp> ramps;
  double largest = 0;
  for (const auto& one : list) largest = std::max(largest, std::abs(one.counts));
  // Where most changes belong to a ramp, their median is no measure of rest: then a twentieth of the largest is.
  const double floor = std::min(4 * resting_change(list), std::max(largest / 20, 1.0));
  for (std::size_t i = 0; i < list.size();) {
    std::size_t end = i;
    const bool up = list[i].counts > 0;
    while (end < list.size() && std::abs(list[end].counts) > floor && (list[end].counts > 0) == up &&
           (end == i || list[end].middle_ns() - list[end - 1].middle_ns() < longest_rest * period_ns))
      ++end;
    if (end > i) ramps.push_back(measure(list.subspan(i, end - i), period_ns));
    i = std::max(end, i + 1);
  }
  double tallest = 0;
  for (const auto& ramp : ramps) tallest = std::max(tallest, std::abs(ramp.total));
  std::erase_if(ramps, [&](const Ramp& ramp) { return std::abs(ramp.total) < tallest / 2; });
  return ramps;
}

// The ramp that begins within three updates of when the load changed.
const Ramp* caused_by(const std::vector<Ramp>& ramps, Instant step, double period_ns) {
  for (const auto& ramp : ramps) {
    const double after = ramp.begin_ns - static_cast<double>(step.ns);
    if (after > -period_ns && after < 3 * period_ns) return &ramp;
  }
  return nullptr;
}

}  // namespace

WindowFit fit_window(std::span<const Transition> list, double period_ns, std::span<const Instant> load_steps) {
  if (list.size() < 8) return {{}, {}, "too few changes seen"};
  const auto ramps = find_ramps(list, period_ns);
  std::vector<double> windows;
  bool curved = false, sudden = false;
  const auto take = [&](const Ramp& ramp) {
    if (ramp.changes < 4) {
      sudden = true;
    } else if (!ramp.straight) {
      curved = true;
    } else {
      windows.push_back(ramp.window_ns);
    }
  };
  if (!load_steps.empty()) {
    for (const Instant step : load_steps)
      if (const Ramp* ramp = caused_by(ramps, step, period_ns)) take(*ramp);
    if (!windows.empty() && !curved && !sudden)
      return {median(windows), "the straight ramp after a step of the load that Prony made", {}};
    if (sudden) return {{}, {}, "a step of the load showed within three updates: it averages over no longer than that"};
    if (curved) return {{}, {}, "the answer to a step of the load is no straight ramp"};
    return {{}, {}, "no change stood out when the load was changed"};
  }
  for (const auto& ramp : ramps) take(ramp);
  if (windows.size() < 2 || curved || sudden)
    return {{}, {}, "no step of the load is known: `prony probe` makes one if it watches for 4 s or more"};
  const auto [low, high] = std::minmax_element(windows.begin(), windows.end());
  if (*high - *low > equal_lengths * *low) return {{}, {}, "ramps of different lengths: they may be the load itself"};
  return {median(windows), std::to_string(windows.size()) + " straight ramps of one length", {}};
}

}  // namespace prony::passport
