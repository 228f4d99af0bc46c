#include "attribute/edge.hpp"

#include <algorithm>
#include <cmath>

#include "attribute/even_spread.hpp"

namespace prony::attribution {

namespace {

// Calibrated on random curves so that interval(0.95) covers 93 to 98 % (tests/attribute/campaign_test.cpp): of the
// largest deviation that the neighbouring updates let expect, this much is one standard deviation.
constexpr double shape_share = 0.55;
constexpr double step_shape_share = 0.1;
// Power that changes from update to update may have changed inside this one too, even if its mean happens to be its
// neighbour's: of the usual change.
constexpr double usual_change_share = 0.4;
// The power to either side of a step moves at most this share of the step.
constexpr double flat_beside_step = 0.1;

struct Stretch {
  double from_s = 0, to_s = 0;  // since the grid's origin
  double value = 0;             // at `from_s`
  double mean = 0;              // increase per second
};

// From update to update. Updates that showed nothing new are not among the transitions: where more than one period lies
// between two, the counter stood still until the last one.
class Stretches {
 public:
  Stretches(const Edge& edge, const UpdateGrid& grid) {
    for (std::size_t i = 0; i < edge.count; ++i) {
      const Update& one = edge.updates[i];
      // Polls prove what the grid only lets expect.
      at_s_[i] = std::clamp(grid.at(static_cast<double>(one.k)) * 1e-9, seconds_of(one.earliest_ns - grid.origin_ns),
                            seconds_of(one.latest_ns - grid.origin_ns));
    }
    for (std::size_t i = 0; i + 1 < edge.count; ++i) {
      const double value = edge.updates[i].value, rise = edge.updates[i + 1].value - value;
      double from = at_s_[i];
      if (edge.updates[i + 1].k - edge.updates[i].k > 1) {
        const double last_silent = std::max(from, at_s_[i + 1] - grid.period_ns * 1e-9);
        add({from, last_silent, value, 0});
        from = last_silent;
      }
      const double length = at_s_[i + 1] - from;
      if (length > 0) add({from, at_s_[i + 1], value, rise / length});
    }
  }
  [[nodiscard]] std::optional<std::size_t> find(double at_s) const {
    for (std::size_t i = 0; i < count_; ++i)
      if (at_s >= list_[i].from_s && at_s < list_[i].to_s) return i;
    return std::nullopt;
  }
  [[nodiscard]] const Stretch& at(std::size_t i) const { return list_[i]; }
  [[nodiscard]] std::optional<double> mean(std::size_t i, int offset) const {
    const auto wanted = static_cast<std::ptrdiff_t>(i) + offset;
    if (wanted < 0 || wanted >= static_cast<std::ptrdiff_t>(count_)) return std::nullopt;
    return list_[static_cast<std::size_t>(wanted)].mean;
  }
  // Median change of the mean from one stretch to the next.
  [[nodiscard]] double usual_change() const {
    std::array<double, most> changes{};
    std::size_t count = 0;
    for (std::size_t i = 0; i + 1 < count_; ++i) changes[count++] = std::abs(list_[i + 1].mean - list_[i].mean);
    if (count == 0) return 0;
    const auto middle = changes.begin() + static_cast<std::ptrdiff_t>(count / 2);
    std::nth_element(changes.begin(), middle, changes.begin() + static_cast<std::ptrdiff_t>(count));
    return *middle;
  }

 private:
  static constexpr std::size_t most = 14;
  void add(const Stretch& stretch) {
    if (count_ < list_.size()) list_[count_++] = stretch;
  }
  std::array<double, 8> at_s_{};
  std::array<Stretch, most> list_;
  std::size_t count_ = 0;
};

double smaller_bend(double left, double right) {
  if (left * right <= 0) return 0;
  return std::abs(left) < std::abs(right) ? left : right;
}

// How far the mean is from its neighbours': what may have changed inside the stretch. One neighbour that differs by no
// more than `rounding` vouches for it; a neighbour that is not known vouches for nothing.
double open_power(double mean, const std::optional<double>& before, const std::optional<double>& after,
                  double rounding) {
  if (!before && !after) return mean;
  const double left = std::abs(mean - before.value_or(*(before ? before : after)));
  const double right = std::abs(mean - after.value_or(*(after ? after : before)));
  const double nearest = std::min(left, right);
  if (nearest <= rounding) return 0;
  return before && after ? nearest : std::max(nearest, mean / 4);
}

}  // namespace

std::optional<EdgeValue> place_edge(const Edge& edge, const UpdateGrid& grid, double step) {
  const double at_s = seconds_of(edge.at_ns - grid.origin_ns);
  const Stretches stretches(edge, grid);
  const auto found = stretches.find(at_s);
  if (!found) return std::nullopt;
  const Stretch& here = stretches.at(*found);
  const double length = here.to_s - here.from_s, x = (at_s - here.from_s) / length, mean = here.mean;
  const auto known_before = stretches.mean(*found, -1), known_after = stretches.mean(*found, +1);
  const double before = known_before.value_or(mean), after = known_after.value_or(mean);
  const double before2 = stretches.mean(*found, -2).value_or(before);
  const double after2 = stretches.mean(*found, +2).value_or(after);
  const double jump = after - before;
  // Two rounded readings may differ by so much: a mean no further from a neighbour's is that neighbour's.
  const double rounding = 2 * step / length;
  const bool one_step = std::min(std::abs(mean - before), std::abs(after - mean)) > rounding &&
                        (mean - before) * (after - mean) > 0 &&
                        std::abs(before - before2) <= flat_beside_step * std::abs(jump) &&
                        std::abs(after2 - after) <= flat_beside_step * std::abs(jump);
  EdgeValue result;
  result.k = (at_s * 1e9 - grid.phase_ns) / grid.period_ns;
  double open = 0;
  if (one_step) {
    // Flat on both sides: the power changed once, and the mean tells when.
    const bool early = x < (after - mean) / jump;
    result.value = early ? here.value + before * x * length : here.value + (mean - after * (1 - x)) * length;
    result.rate = early ? before : after;
    open = step_shape_share * std::abs(jump);
  } else {
    const double bend = smaller_bend(mean - before, after - mean);
    result.value = here.value + length * (mean * x + bend * (x * x - x) / 2);
    result.rate = mean + bend * (x - 0.5);
    open = open_power(mean, known_before, known_after, rounding);
    if (open > 0) open = std::max(shape_share * open, usual_change_share * stretches.usual_change());
  }
  const double shape = 2 * open * length * x * (1 - x);
  const double jitter = result.rate * grid.jitter_ns * 1e-9 / root_3;
  result.sigma = std::sqrt(shape * shape + jitter * jitter + step * step / (root_12 * root_12));
  return result;
}

}  // namespace prony::attribution
