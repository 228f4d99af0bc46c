#include "attribute/moving_mean.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "model/time.hpp"

namespace prony::attribution {

namespace {

// A change of power by D shifts the mean of E over a window by D · W / 8 at most; what a window's readings range over
// is D or more. That most changes are not at the worst place, and that windows side by side err alike, is in `alike`;
// both are calibrated (tests/attribute/moving_mean_test.cpp).
constexpr double detail_per_range = 1.0 / 12, alike = 1.9;
constexpr double bend_share = 0.4;    // of a bend that lies between two readings
constexpr double uniform_sd = 0.289;  // standard deviation of a uniform distribution of width 1
constexpr double at_once_sd = 0.577;  // the same about one of its ends
constexpr std::uint64_t enough_changes = 4;
constexpr std::int64_t finest = 64;  // knots in a window
constexpr double sure = 3;           // standard deviations
constexpr double least_variance = 1e-12;

}  // namespace

// What the windows around at + k · W tell of E(at), weighed by how much each leaves open.
class MovingMean::Candidates {
 public:
  void add(double value_j, double variance) {
    values_[count_] = value_j;
    weights_[count_++] = 1 / variance;
    of_way_ += 1 / variance;
  }
  // All that were added since the last such call rest on one reading, whose doubt no number of them makes smaller.
  void shared(double doubt_j) {
    shared_ += of_way_ * of_way_ * doubt_j * doubt_j;
    of_way_ = 0;
  }
  void no_less(double joules) { low_ = std::max(low_, joules); }
  void no_more(double joules) { high_ = std::min(high_, joules); }

  // Absent: no window tells of it, or what two of them prove excludes each other: the readings are no moving mean.
  [[nodiscard]] std::optional<Energy> energy() const {
    if (count_ == 0 || low_ > high_) return std::nullopt;
    double weight = 0, sum = 0, scatter = 0;
    for (std::size_t i = 0; i < count_; ++i) weight += weights_[i], sum += weights_[i] * values_[i];
    const double mean = sum / weight;
    for (std::size_t i = 0; i < count_; ++i) scatter += weights_[i] * (values_[i] - mean) * (values_[i] - mean);
    if (count_ > 1) scatter /= static_cast<double>(count_ - 1);
    return Energy{std::clamp(mean, low_, high_),
                  std::sqrt(alike * alike * std::max(1.0, scatter) / weight + shared_ / (weight * weight)), 0, low_,
                  high_};
  }

 private:
  std::array<double, 2 * windows + 1> values_{}, weights_{};
  std::size_t count_ = 0;
  double of_way_ = 0, shared_ = 0;
  double low_ = -std::numeric_limits<double>::infinity(), high_ = std::numeric_limits<double>::infinity();
};

// No finer than a window needs: what comes sooner replaces the last knot, so that the newest reading always stands.
void MovingMean::put(std::int64_t at_ns, double watts) {
  if (!knots_.empty() && at_ns <= knots_.back().at_ns) return;
  const auto size = knots_.size();
  if (size > 1 && knots_[size - 1].at_ns - knots_[size - 2].at_ns < window_ns_ / finest) knots_.pop_back();
  if (knots_.empty()) return knots_.push_back({at_ns, watts, 0}), void();
  const Knot& last = knots_.back();
  const double joules = last.joules + (last.watts + watts) / 2 * seconds_of(at_ns - last.at_ns);
  knots_.push_back({at_ns, watts, joules});
}

// A reading that differs from the one before was renewed between the two polls; one that does not tells nothing new
// until then.
void MovingMean::add(std::int64_t at_ns, double watts) {
  if (readings_++ == 0) {
    first_ns_ = begin_ns_ = changed_ns_ = at_ns;
    put(at_ns, watts);
  } else {
    const std::int64_t distance = at_ns - seen_ns_;
    const bool changed = watts != seen_w_;
    const std::int64_t since_ns = at_ns - changed_ns_;
    if (changed) {
      if (changes_++ > 0) shortest_ns_ = shortest_ns_ == 0 ? since_ns : std::min(shortest_ns_, since_ns);
      const bool waited = since_ns > distance + distance / 2;
      const std::int64_t renewed_ns = waited ? at_ns - distance / 2 : at_ns;
      const std::int64_t update_ns =
          documented_ns_ > 0 ? documented_ns_ : std::clamp(shortest_ns_, distance, window_ns_ / 4);
      if (waited && since_ns > update_ns + update_ns / 2) put(renewed_ns - update_ns, seen_w_);
      put(renewed_ns, watts);
      changed_ns_ = at_ns;
    }
  }
  seen_ns_ = at_ns;
  seen_w_ = watts;
  if (!origin_ && at_ns - begin_ns_ > reach()) {
    origin_ = place(begin_ns_);
    if (documented_ns_ == 0 && changes_ < enough_changes) {
      begin_ns_ = at_ns - reach();
      begin_j_ = sum_to(begin_ns_);
    }
  }
  const std::int64_t keep_ns = 2 * reach() + 3 * window_ns_;
  while (knots_.size() > 2 && knots_[1].at_ns < at_ns - keep_ns) knots_.pop_front();
}

// The knot at or before an instant; the first one for what lies before all.
const MovingMean::Knot& MovingMean::before(std::int64_t at_ns) const {
  const auto after = std::upper_bound(knots_.begin(), knots_.end(), at_ns,
                                      [](std::int64_t at, const Knot& knot) { return at < knot.at_ns; });
  return after == knots_.begin() ? *after : *std::prev(after);
}

double MovingMean::mean_at(std::int64_t at_ns) const {
  const Knot& knot = before(at_ns);
  if (&knot == &knots_.back()) return knot.watts;  // it has stood still since
  const Knot& next = *(std::upper_bound(knots_.begin(), knots_.end(), at_ns,
                                        [](std::int64_t at, const Knot& one) { return at < one.at_ns; }));
  return knot.watts + (next.watts - knot.watts) * seconds_of(at_ns - knot.at_ns) / seconds_of(next.at_ns - knot.at_ns);
}

double MovingMean::sum_to(std::int64_t at_ns) const {
  const Knot& knot = before(at_ns);
  return knot.joules + (knot.watts + mean_at(at_ns)) / 2 * seconds_of(at_ns - knot.at_ns);
}

// Whether the reading is renewed several times in a window: a mean of one block after the other is none that moves.
bool MovingMean::moves() const {
  if (documented_ns_ > 0) return documented_ns_ <= window_ns_ / 4;
  return changes_ >= enough_changes && shortest_ns_ <= window_ns_ / 4;
}

// Standard deviation of window · reading at an instant: when it was renewed, what lies between two readings, its step.
double MovingMean::doubt_j(std::int64_t at_ns) const {
  const auto around_ns = std::min(window_ns_ / 4, std::max({documented_ns_, shortest_ns_, spacing_ns()}));
  const auto from = std::max(at_ns - around_ns, knots_.front().at_ns), to = std::min(at_ns + around_ns, seen_ns_);
  if (to <= from) return step_w_ * seconds_of(window_ns_);
  const double first = mean_at(from), last = mean_at(to), middle = mean_at(from + (to - from) / 2);
  const double late_w = (last - first) / seconds_of(to - from) * seconds_of(spacing_ns()) * uniform_sd;
  const double between_w = bend_share * (last - 2 * middle + first);
  return seconds_of(window_ns_) * std::hypot(late_w, between_w, step_w_ * uniform_sd);
}

// What the means of the window that begins at `at_ns` range over; twice that where part of it was not recorded.
double MovingMean::range_w(std::int64_t at_ns) const {
  constexpr std::int64_t looks = 8;
  double least = std::numeric_limits<double>::infinity(), most = -least;
  bool all = true;
  for (std::int64_t i = 0; i <= looks; ++i) {
    const std::int64_t look = at_ns + window_ns_ * i / looks;
    if (!within(look)) {
      all = false;
      continue;
    }
    const double watts = mean_at(look);
    least = std::min(least, watts);
    most = std::max(most, watts);
  }
  return most < least ? 0 : (most - least) * (all ? 1 : 2);
}

// `further_j`: the energy from the asked instant to `at_ns`, with its variance.
void MovingMean::take(Candidates& all, std::int64_t at_ns, double further_j, double variance) const {
  const double window_s = seconds_of(window_ns_), step_j = step_w_ * window_s;
  const double slack_j = sure * std::sqrt(variance) + step_j;
  if (within(at_ns)) all.no_less(sum_to(at_ns) - further_j - slack_j - sure * doubt_j(at_ns));
  if (within(at_ns + window_ns_))
    all.no_more(sum_to(at_ns + window_ns_) - further_j + slack_j + sure * doubt_j(at_ns + window_ns_));
  const std::int64_t middle = at_ns + window_ns_ / 2;
  if (!within(middle)) return;
  const double detail_j = detail_per_range * window_s * range_w(at_ns);
  all.add(sum_to(middle) - further_j, detail_j * detail_j + variance + step_j * step_j + least_variance);
}

std::optional<MovingMean::Energy> MovingMean::place(std::int64_t at_ns) const {
  if (knots_.empty() || !moves() || !within(at_ns)) return std::nullopt;
  Candidates all;
  take(all, at_ns, 0, 0);
  all.shared(0);
  const double window_s = seconds_of(window_ns_);
  for (const int way : {1, -1}) {
    double further_j = 0, variance = 0;
    for (std::int64_t k = 1; k <= windows; ++k) {
      const std::int64_t mean_of = way > 0 ? at_ns + k * window_ns_ : at_ns - (k - 1) * window_ns_;
      if (!within(mean_of)) break;
      further_j += way * window_s * mean_at(mean_of);
      const double doubt = doubt_j(mean_of);
      variance += doubt * doubt;
      take(all, at_ns + way * k * window_ns_, further_j, variance);
    }
    all.shared(within(at_ns + (way > 0 ? window_ns_ : 0)) ? doubt_j(at_ns + (way > 0 ? window_ns_ : 0)) : 0);
  }
  auto told = all.energy();
  if (told) told->watts = mean_at(std::min(at_ns + window_ns_ / 2, seen_ns_));
  return told;
}

double MovingMean::time_sigma_s() const { return at_once_sd * seconds_of(spacing_ns()); }

std::optional<MovingMean::Energy> MovingMean::energy(std::int64_t at_ns) const {
  const auto from = origin();
  auto to = place(at_ns);
  if (!from || !to) return std::nullopt;
  for (double* joules : {&to->value_j, &to->low_j, &to->high_j}) *joules -= from->value_j;
  return to;
}

}  // namespace prony::attribution
