#include "attribute/edge.hpp"

#include <algorithm>
#include <cmath>

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
constexpr double root_12 = 3.4641016151377544;

// Updates that showed nothing new are not among the transitions: where more than one period lies between two, the
// counter stood still until the last one.
struct Stretch {
  double from = 0, to = 0;  // in k
  double value = 0;         // at `from`
  double mean = 0;          // increase per k
};

class Stretches {
 public:
  explicit Stretches(const Edge& edge) {
    for (std::size_t i = 0; i + 1 < edge.count; ++i) {
      const auto k = static_cast<double>(edge.updates[i].k), next = static_cast<double>(edge.updates[i + 1].k);
      const double rise = edge.updates[i + 1].value - edge.updates[i].value;
      if (next - k > 1.5) add({k, next - 1, edge.updates[i].value, 0});
      add({std::max(k, next - 1), next, edge.updates[i].value, rise});
    }
  }
  [[nodiscard]] std::optional<std::size_t> find(double k) const {
    for (std::size_t i = 0; i < count_; ++i)
      if (k >= list_[i].from && k < list_[i].to) return i;
    return std::nullopt;
  }
  [[nodiscard]] const Stretch& at(std::size_t i) const { return list_[i]; }
  // Increase per k, `offset` stretches away; nullopt beyond the ends.
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
  std::array<Stretch, most> list_;
  std::size_t count_ = 0;
};

double smaller_bend(double left, double right) {
  if (left * right <= 0) return 0;
  return std::abs(left) < std::abs(right) ? left : right;
}

}  // namespace

std::optional<EdgeValue> place_edge(const Edge& edge, const UpdateGrid& grid, double step) {
  const double k = (static_cast<double>(edge.at_ns - grid.origin_ns) - grid.phase_ns) / grid.period_ns;
  const Stretches stretches(edge);
  const auto found = stretches.find(k);
  if (!found) return std::nullopt;
  const Stretch& here = stretches.at(*found);
  const double length = here.to - here.from;
  const double x = (k - here.from) / length;
  const double mean = here.mean / length;
  const double before = stretches.mean(*found, -1).value_or(mean), after = stretches.mean(*found, +1).value_or(mean);
  const double before2 = stretches.mean(*found, -2).value_or(before),
               after2 = stretches.mean(*found, +2).value_or(after);
  const double jump = after - before;
  const bool between = (mean - before) * (after - mean) > 0;
  const bool one_step = between && std::abs(before - before2) <= flat_beside_step * std::abs(jump) &&
                        std::abs(after2 - after) <= flat_beside_step * std::abs(jump);
  EdgeValue result;
  result.k = k;
  double open = std::min(std::abs(mean - before), std::abs(after - mean));
  if (one_step) {
    // Flat on both sides: the power changed once, and the mean tells when.
    const double share_before = (after - mean) / jump;
    const bool early = x < share_before;
    result.value = early ? here.value + before * x : here.value + mean - after * (1 - x);
    result.rate = early ? before : after;
    open = step_shape_share * std::abs(jump);
  } else {
    const double bend = smaller_bend(mean - before, after - mean);
    result.value = here.value + length * (mean * x + bend * (x * x - x) / 2);
    result.rate = mean + bend * (x - 0.5);
    const bool flat = open <= 2 * step;  // no more than two rounded readings differ by
    open = flat ? 0 : std::max(shape_share * open, usual_change_share * stretches.usual_change());
  }
  const double shape = 2 * open * length * x * (1 - x);
  result.sigma = std::sqrt(shape * shape + step * step / (root_12 * root_12));
  result.rate *= 1e9 / grid.period_ns;
  return result;
}

}  // namespace prony::attribution
