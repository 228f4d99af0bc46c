#include "attribute/counter_curve.hpp"

#include <algorithm>
#include <cmath>

#include "attribute/even_spread.hpp"

namespace prony::attribution {

namespace {
constexpr std::uint64_t transitions_to_learn = 8;  // before the mean distance of transitions is believed
// An instant is answered when so many further transitions are known: the grid must have begun, and the power after it.
constexpr std::uint64_t look_ahead = 10;
// A damaged Run may hold anything.
std::optional<LearnedPeriod> sensible(const std::optional<LearnedPeriod>& learned) {
  const auto all = {learned ? learned->mean_ns : -1, learned ? learned->sigma_ns : 0, learned ? learned->jitter_ns : 0};
  const bool finite = std::ranges::all_of(all, [](double value) { return std::isfinite(value) && value >= 0; });
  return finite && learned->mean_ns >= 1 ? learned : std::nullopt;
}
}  // namespace

CounterCurve::CounterCurve(const Channel& channel, std::int64_t interval_ns, const Plan* plan)
    : rules_(counter_rules(channel)),
      scale_(channel.scale),
      step_(channel.resolution * channel.scale),
      max_rate_(channel.max_rate),
      interval_ns_(interval_ns),
      period_ns_(channel.update_period.ns),
      renewed_at_every_read_(channel.measure == Measure::cpu_time && channel.update_period.ns == 0),
      learned_(sensible(channel.learned_period)),
      instants_(plan),
      clock_(new_clock()) {
  if (learned_) jitter_ns_ = std::min(root_3 * learned_->jitter_ns, learned_->mean_ns / 4);
  if (channel.model) {
    // The readings are busy CPU seconds, of which a machine of n CPUs gives n a second; the channel's own rate is in
    // watts.
    rules_.max_rate = 0;
    max_rate_ = channel.model->cpus;
  }
}

double CounterCurve::period_s() const {
  const double documented = seconds_of(period_ns_);
  if (transitions_ < transitions_to_learn || knot_count_ == 0) return documented;
  const double learned =
      seconds_of(knots_[(knot_count_ - 1) % knots_.size()].at - first_knot_) / static_cast<double>(transitions_);
  return std::max(documented, learned);
}

void CounterCurve::count_gap(std::int64_t begin) {
  ++gaps_;
  gap_ns_ += begin - last_end_;
  missing_ = false;
}

// The longest time in which a step seen at `end` can have accrued. Updates may come in lumps: a counter that renews
// itself every 100 ms gives 100 ms of energy within one poll of 1 ms, and the documented period is not kept to the
// letter.
double CounterCurve::elapsed_s(std::int64_t end) const {
  const double slack = period_ns_ > 0 ? std::max(2 * period_s(), 0.01) : 1.0;
  return seconds_of(end - newest().previous_begin) + slack;
}

void CounterCurve::begin_curve(std::int64_t begin, std::int64_t end, std::uint64_t raw) {
  if (rules_.range > 0 && raw >= rules_.range) return gap(end);
  have_ = true;
  if (missing_) count_gap(begin);
  last_raw_ = raw;
  first_begin_ = last_begin_ = begin;
  first_end_ = last_end_ = seen_end_ = end;
  marks_[0] = Mark{begin, end};
  mark_count_ = 1;
  add_knot(begin + (end - begin) / 2, 0);
  first_knot_ = knots_[0].at;
  instants_.start(begin);
}

void CounterCurve::changed(std::int64_t begin, std::int64_t end, std::uint64_t raw) {
  if (!have_) return begin_curve(begin, end, raw);
  if (suspect_) return resolve_suspect(begin, end, raw);
  const auto step = advance(rules_, last_raw_, raw, elapsed_s(end));
  // A wrap that no believable rate vouches for waits for the next reading, as anything unbelievable does.
  if (step.step == CounterStep::forward || (step.step == CounterStep::wrapped && rules_.max_rate > 0))
    accept(step, begin, end, raw);
  else
    suspect_ = Suspect{begin, end, raw, step};
}

// The reading after an unbelievable one tells: goes on from before it → it was rubbish; goes on from it → it was true.
void CounterCurve::resolve_suspect(std::int64_t begin, std::int64_t end, std::uint64_t raw) {
  const Suspect suspect = *suspect_;
  const auto without = advance(rules_, last_raw_, raw, elapsed_s(end));
  const auto with = advance(rules_, suspect.raw, raw, elapsed_s(end));
  suspect_.reset();
  if (without.step == CounterStep::forward || (without.step == CounterStep::wrapped && rules_.max_rate > 0)) {
    missing_ = true;  // the rubbish reading is a gap
    accept(without, begin, end, raw);
  } else if (with.step == CounterStep::forward && (rules_.range == 0 || suspect.raw < rules_.range)) {
    commit(suspect);
    accept(with, begin, end, raw);
  } else {
    missing_ = true;
    suspect_ = Suspect{begin, end, raw, without};
  }
}

void CounterCurve::commit(const Suspect& suspect) {
  if (suspect.advance.step == CounterStep::wrapped)
    return accept(suspect.advance, suspect.begin, suspect.end, suspect.raw);
  // A reset: what was used between the two readings is not known. The rate before it fills the hole, with all the
  // doubt.
  ++resets_;
  const double hole_s = seconds_of(suspect.end - last_begin_);
  const auto fill = static_cast<std::uint64_t>(std::llround(std::max(0.0, recent_rate_ * hole_s / scale_)));
  const double filled = static_cast<double>(fill) * scale_;
  total_ += fill;
  spread_low_ += filled;
  spread_high_ += std::max(0.0, believable_rate().value_or(0) * hole_s - filled);
  gap_ns_ += suspect.begin - last_end_;
  last_raw_ = suspect.raw;
  transition(suspect.begin, suspect.end);
}

void CounterCurve::accept(const CounterAdvance& step, std::int64_t begin, std::int64_t end, std::uint64_t raw) {
  if (step.counts == 0) {
    last_raw_ = raw;
    return note_poll(begin, end);
  }
  if (step.step == CounterStep::wrapped) ++wraps_;
  if (step.hidden_wraps > 0) {
    ++ambiguous_;
    spread_high_ += static_cast<double>(step.hidden_wraps) * static_cast<double>(rules_.range) * scale_;
  }
  total_ += step.counts;
  last_raw_ = raw;
  transition(begin, end);
}

void CounterCurve::transition(std::int64_t begin, std::int64_t end) {
  if (missing_ || (interval_ns_ > 0 && begin - last_end_ > 2 * interval_ns_)) count_gap(begin);
  ++transitions_;
  const Mark before = newest();
  mark(mark_count_++) = Mark{last_begin_, end, total(), spread_low_, spread_high_, flat_, false, 0, 0};
  time_transition(last_begin_, end);
  const Knot knot_before = knots_[(knot_count_ - 1) % knots_.size()];
  place_knots(begin, end);
  const Knot knot = knots_[(knot_count_ - 1) % knots_.size()];
  if (!first_high_) {
    first_high_ = knot.value + step_;  // the first step holds what had accrued before the first read: no rate from it
  } else if (spread_low_ == before.spread_low && spread_high_ == before.spread_high) {
    const double over_s = std::max(seconds_of(knot.at - knot_before.at), std::max(seconds_of(period_ns_), 1e-6));
    recent_rate_ = (newest().value - before.value) / over_s;
    largest_rate_ = std::max(largest_rate_, recent_rate_);
    ++rated_;
  }
  last_begin_ = begin;
  last_end_ = seen_end_ = end;
  flat_ = false;
  if (mark_count_ > look_ahead) answer_until(mark(mark_count_ - 1 - look_ahead).previous_begin);
}

// When did the update happen that this poll found? After the poll before it began, and (where the counter renews itself
// more often than it is polled) within one period of this poll.
void CounterCurve::place_knots(std::int64_t begin, std::int64_t end) {
  const std::int64_t middle = begin + (end - begin) / 2;
  const std::int64_t previous_middle = last_begin_ + (last_end_ - last_begin_) / 2;
  const Knot last = knots_[(knot_count_ - 1) % knots_.size()];
  if (renewed_at_every_read_) {
    if (flat_) add_knot(previous_middle, last.value);
    return add_knot(middle, total());
  }
  const auto period = static_cast<std::int64_t>(period_s() * 1e9);
  // Nothing for over two periods: nothing was used; what is found now accrued within the last period.
  if (flat_ && period > 0 && last_begin_ - last.at > 2 * period) add_knot(last_begin_ - period, last.value);
  if (period_ns_ > 0) {
    const std::int64_t earliest = std::max(last_begin_, begin - period_ns_);
    add_knot(earliest + (end - earliest) / 2, total());
  } else {
    add_knot(flat_ ? last_begin_ + (end - last_begin_) / 2 : middle, total());
  }
}

void CounterCurve::add_knot(std::int64_t at, double value) {
  if (knot_count_ > 0) at = std::max(at, knots_[(knot_count_ - 1) % knots_.size()].at);
  knots_[knot_count_++ % knots_.size()] = Knot{at, value};
}

double CounterCurve::interpolate(std::int64_t at) const {
  const std::uint64_t oldest = knot_count_ > knots_.size() ? knot_count_ - knots_.size() : 0;
  std::uint64_t after = knot_count_;
  while (after > oldest && knots_[(after - 1) % knots_.size()].at > at) --after;
  if (after == oldest) return knots_[oldest % knots_.size()].value;
  const Knot& left = knots_[(after - 1) % knots_.size()];
  if (after == knot_count_) return left.value;
  const Knot& right = knots_[after % knots_.size()];
  const double share = static_cast<double>(at - left.at) / static_cast<double>(right.at - left.at);
  return left.value + (right.value - left.value) * share;
}

const CounterCurve::Mark& CounterCurve::low_mark(std::int64_t at) const {
  std::uint64_t index = mark_count_ - 1;
  while (index > oldest_mark() && mark(index).end > at) --index;
  return mark(index);
}

// The first transition that came after `at`; the newest if none is known to. The first reading is no transition: what
// it shows may be as old as a period, and the curve may have been above it before it was read.
const CounterCurve::Mark& CounterCurve::high_mark(std::int64_t at) const {
  std::uint64_t index = mark_count_ - 1;
  while (index > std::max<std::uint64_t>(oldest_mark(), 1) && mark(index - 1).previous_begin >= at) --index;
  return mark(index);
}

std::optional<double> CounterCurve::believable_rate() const {
  const double seen = largest_rate_ * unseen_rate_margin;
  if (rated_ >= 2) return max_rate_ > 0 ? std::min(max_rate_, seen) : seen;
  if (max_rate_ > 0) return max_rate_;
  return std::nullopt;
}

// At an instant after which a transition was found: strict.
Point CounterCurve::between(std::int64_t at) const {
  const Mark& low = low_mark(at);
  const Mark& high = high_mark(at);
  const double most = high.value + step_ + (high.spread_high - low.spread_high);
  Point point;
  point.strict = low.end <= at;
  double least = low.value;
  if (!point.strict) {  // before the first read ended: nothing proves how little it was
    const double rate = believable_rate().value_or(0);
    least -= rate * seconds_of(low.end - at);
    point.known = believable_rate().has_value();
  }
  point.value = std::clamp(interpolate(at), std::min(least, most), most);
  point.edge_low = point.value - std::min(least, point.value);
  point.edge_high = most - point.value;
  point.spread_low = low.spread_low;
  point.spread_high = low.spread_high;
  point.edge_width = point.edge_low + point.edge_high;
  point.sigma = edge_sigma(low, high);
  return point;
}

// Without a grid: the curve is a line between two updates, each somewhere between two polls.
double CounterCurve::edge_sigma(const Mark& low, const Mark& high) const {
  const double rise = high.value - low.value;
  const auto width = [&](const Mark& one) {
    const double polls = seconds_of(one.end - one.previous_begin);
    return one.resolved || period_ns_ == 0 ? polls : std::min(polls, period_s());
  };
  const double between_s = std::max(seconds_of(high.end - low.end), 1e-9);
  const double rate = std::min(rise / between_s, believable_rate().value_or(rise / between_s));
  const double time_sigma = rate * std::max(width(low), width(high)) / root_12;
  return std::sqrt(time_sigma * time_sigma + rise * rise / 64 + step_ * step_ / 12);
}

// At an instant after the last known transition's predecessor: the rate seen so far bounds what the counter has not
// shown.
Point CounterCurve::open_ended(std::int64_t at) const {
  const Mark& low = low_mark(at);
  const Mark& last = newest();
  Point point;
  point.value = interpolate(at);
  const auto rate = believable_rate();
  double unseen_s = std::max(0.0, seconds_of(at - last.previous_begin));
  if (transitions_ == 0) unseen_s += period_s();  // the first reading may itself have been as old as that
  const double most = last.value + step_ + (last.spread_high - low.spread_high) + rate.value_or(0) * unseen_s;
  const double before_first_s = std::max(0.0, seconds_of(low.end - at));
  const double least = low.value - rate.value_or(0) * before_first_s;
  point.known = rate.has_value();
  point.edge_low = std::max(0.0, point.value - least);
  point.edge_high = std::max(0.0, most - point.value);
  point.spread_low = low.spread_low;
  point.spread_high = low.spread_high;
  point.edge_width = point.edge_low + point.edge_high;
  point.sigma = point.edge_width / root_12;
  return point;
}

Point CounterCurve::first_point() const {
  Point point;
  point.strict = first_high_.has_value();
  const double period_of_doubt = believable_rate().value_or(0) * period_s();
  point.edge_high = first_high_.value_or(step_ + period_of_doubt);
  point.edge_width = point.edge_high;
  point.known = first_high_ || believable_rate();
  point.sigma = point.edge_width / root_12;
  return point;
}

Point CounterCurve::last_point() const {
  Point point = open_ended(last_end_);
  point.value = total();
  point.edge_low = 0;
  point.spread_low = spread_low_;
  point.spread_high = spread_high_;
  return point;
}

void CounterCurve::answer_until(std::int64_t limit) {
  while (instants_.next() <= limit && instants_.next() != never) answer(between(instants_.next()));
}

void CounterCurve::close() {
  settle_torn();
  if (!have_) return;
  if (suspect_) {
    const Suspect suspect = *suspect_;
    suspect_.reset();
    if (suspect.advance.step == CounterStep::wrapped)
      commit(suspect);
    else
      gap(suspect.end);
  }
  if (missing_ && seen_end_ > last_end_) {
    ++gaps_;
    gap_ns_ += seen_end_ - last_end_;
  }
  while (instants_.any_fixed_left() || instants_.next() <= last_end_) {
    if (instants_.next() == never) break;
    const std::int64_t at = instants_.next();
    answer(newest().previous_begin >= at && transitions_ > 0 ? between(at) : open_ended(at));
  }
  place_edges();
  instants_.finish(total());
}

}  // namespace prony::attribution
