// The second half of CounterCurve: when its updates come, and where a window's edge lies among them.
#include <algorithm>
#include <array>
#include <cmath>

#include "attribute/counter_curve.hpp"

namespace prony::attribution {

namespace {
constexpr std::size_t intervals_to_begin = 8;
constexpr int attempts_to_begin = 4;

bool among_the_same(const Edge& a, const Edge& b) {
  return a.segment == b.segment && a.count == b.count &&
         std::equal(a.updates.begin(), a.updates.begin() + a.count, b.updates.begin());
}
}  // namespace

// Only transitions that a poll without news came before tell when the update was; a counter that is polled more slowly
// than it renews itself tells nothing of its grid.
void CounterCurve::time_transition(std::int64_t earliest, std::int64_t latest) {
  if (renewed_at_every_read_) return;
  if (spread_high_ != mark(mark_count_ - 2).spread_high) return end_segment();
  if (!flat_) return untimed_.clear();
  if (clock_runs_) {
    if (clock_.add(earliest, latest)) return set_timed(mark(mark_count_ - 1), clock_);
    allow_jitter(clock_);
    end_segment();
  }
  untimed_.emplace_back(earliest, latest);
  if (untimed_.size() > intervals_to_begin) untimed_.erase(untimed_.begin());
  for (int attempt = 0; attempt < attempts_to_begin && untimed_.size() == intervals_to_begin; ++attempt)
    begin_segment();
}

void CounterCurve::set_timed(Mark& mark, const UpdateClock& clock) const {
  mark.timed = true;
  mark.segment = segments_.size();
  mark.k = clock.last_k();
}

// Updates that miss the grid come early or late: from now on this much is allowed for, up to a quarter of a period.
// What it missed by is the least that single ones stray; a line that as many intervals allowed as came before it leaves
// room for about a poll's distance over their number.
void CounterCurve::allow_jitter(const UpdateClock& clock) {
  jitter_ns_ = std::min(std::max(jitter_ns_ * 1.5, jitter_ns_ + clock.missed_by_ns() +
                                                       clock.typical_width_ns() / static_cast<double>(clock.updates())),
                        period_s() * 1e9 / 4);
}

void CounterCurve::begin_segment() {
  std::vector<double> distances;
  for (std::size_t i = 1; i < untimed_.size(); ++i)
    distances.push_back(
        static_cast<double>(untimed_[i].first + untimed_[i].second - untimed_[i - 1].first - untimed_[i - 1].second) /
        2);
  std::ranges::sort(distances);
  // Silent updates (nothing was used) stretch some distances to multiples of the period; what is documented may be off.
  const double shortest = distances[distances.size() / 5];
  const double known = learned_ ? learned_->mean_ns : static_cast<double>(period_ns_);
  const bool as_known = known > 0 && std::abs(shortest / known - 1) < 0.25;
  UpdateClock clock = new_clock();
  clock.allow_jitter(jitter_ns_);
  clock.begin(untimed_.front().first, untimed_.front().second, as_known ? known : shortest);
  std::array<std::int64_t, intervals_to_begin> places{};
  for (std::size_t i = 1; i < untimed_.size(); ++i) {
    if (!clock.add(untimed_[i].first, untimed_[i].second)) return allow_jitter(clock);
    places[i] = clock.last_k();
  }
  for (std::size_t i = 0; i < untimed_.size(); ++i) {  // their marks are the newest ones, one each
    Mark& timed = mark(mark_count_ - untimed_.size() + i);
    set_timed(timed, clock);
    timed.k = places[i];
  }
  clock_ = clock;
  clock_runs_ = true;
  untimed_.clear();
}

// The period of a channel with a learned one is the longest that an update may take to come: no grid's.
UpdateClock CounterCurve::new_clock() const { return UpdateClock(learned_ ? 0 : period_ns_, learned_); }

void CounterCurve::end_segment() {
  untimed_.clear();
  if (!clock_runs_) return;
  segments_.push_back(clock_.grid());
  clock_ = new_clock();
  clock_runs_ = false;
}

// What the first reading showed came with the update before the first transition; where the counter then stood still
// for whole periods, with an earlier one.
Update CounterCurve::before_first(const Mark& first) const {
  const double period = std::max(period_s(), 1e-6);
  const auto still = static_cast<std::int64_t>(std::max(0.0, seconds_of(first.previous_begin - mark(0).end) / period));
  const auto earliest =
      static_cast<std::int64_t>(static_cast<double>(first.previous_begin - mark(0).end) + period * 2e9);
  return {first.k - 1 - still, mark(0).value, first.previous_begin - earliest, mark(0).end};
}

// Nothing tells of the first transition that a poll without news came before it where the counter was first read just
// then; it is a transition all the same, if polls come often enough to hold one update only.
void CounterCurve::add_untimed_first(const Mark& second, Edge& edge) const {
  Mark first = mark(1);
  const double period = period_s() * 1e9;
  if (first.timed || first.spread_high != second.spread_high || period <= 0) return;
  if (static_cast<double>(first.end - first.previous_begin) > period / 2) return;
  const double apart = static_cast<double>(second.end - first.end + second.previous_begin - first.previous_begin) / 2;
  first.k = second.k - std::max<std::int64_t>(1, std::llround(apart / period));
  edge.updates[edge.count++] = before_first(first);
  edge.updates[edge.count++] = {first.k, first.value, first.previous_begin, first.end};
}

// The timed transitions around `at`, all of one segment.
std::optional<Edge> CounterCurve::edge_at(std::int64_t at) const {
  std::uint64_t right = mark_count_;
  while (right > oldest_mark() && mark(right - 1).end > at) --right;
  Edge edge;
  edge.at_ns = at;
  const std::uint64_t from = std::max(oldest_mark(), right >= 4 ? right - 4 : 0);
  for (std::uint64_t i = from; i < std::min(mark_count_, right + 4) && edge.count < edge.updates.size(); ++i) {
    const Mark& one = mark(i);
    if (!one.timed || (edge.count > 0 && one.segment != edge.segment)) {
      if (i >= right) break;
      edge.count = 0;
      if (!one.timed) continue;
    }
    edge.segment = one.segment;
    if (i == 2 && edge.count == 0) add_untimed_first(one, edge);
    if (i == 1) edge.updates[edge.count++] = before_first(one);
    edge.updates[edge.count++] = {one.k, one.value, one.previous_begin, one.end};
  }
  if (edge.count < 2) return std::nullopt;
  return edge;
}

// The grid's last word comes with its last transition: until then the edge is kept with the updates around it.
void CounterCurve::answer(const Point& point) {
  const auto index = instants_.next_fixed_index();
  if (const auto edge = index ? edge_at(instants_.next()) : std::nullopt) {
    if (!waiting_.empty() && waiting_.back().to == *index && among_the_same(waiting_.back().edge, *edge))
      ++waiting_.back().to;
    else
      waiting_.push_back({*edge, *index, *index + 1});
  }
  instants_.answer(point);
}

void CounterCurve::place_edges() {
  end_segment();
  for (Waiting& one : waiting_) {
    auto& grid = segments_[one.edge.segment];
    if (!grid) continue;
    grid->jitter_ns = std::max(grid->jitter_ns, jitter_ns_);  // what a later update betrayed was true of earlier ones
    for (std::size_t index = one.from; index < one.to; ++index) {
      one.edge.at_ns = instants_.fixed_ns(index);
      if (const auto placed = place_edge(one.edge, *grid, step_)) revise(index, one.edge.segment, *placed, *grid);
    }
  }
  std::vector<Waiting>().swap(waiting_);
}

void CounterCurve::revise(std::size_t index, std::size_t segment, const EdgeValue& placed, const UpdateGrid& grid) {
  Point point = instants_.fixed(index);
  const double least = point.value - point.edge_low, most = point.value + point.edge_high;
  point.value = std::clamp(placed.value, least, most);
  point.edge_low = point.value - least;
  point.edge_high = most - point.value;
  point.timed = true;
  point.segment = segment;
  point.sigma = placed.sigma;
  point.rate = placed.rate;
  point.phase_sigma_s = grid.phase_sigma_ns * 1e-9;
  point.period_error_s = grid.period_sigma_ns * (placed.k - grid.centre_k) * 1e-9;
  instants_.revise(index, point);
}

}  // namespace prony::attribution
