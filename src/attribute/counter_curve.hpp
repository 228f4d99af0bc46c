// A counter's readings → its cumulative curve at the instants of a Plan. Only transitions (readings that differ from
// the one before) matter: a poll that returned v ended at e, so the curve is at least v from e on; a transition to v
// was found by a poll whose predecessor began at b, so the update came after b and the curve is at most v + one step
// until b. Both hold whatever the update period is. In between, the point estimate is interpolated between the times of
// transitions. Memory: the last few transitions and the answers. Values in the channel's unit, relative to its first
// reading. Thread promise: one thread at a time; copying gives an independent fold.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "attribute/edge.hpp"
#include "attribute/plan.hpp"
#include "attribute/update_clock.hpp"
#include "model/channel.hpp"
#include "model/counter.hpp"

namespace prony::attribution {

// The largest power seen may be exceeded where nobody looked; this much more is believed where no largest rate is
// known.
inline constexpr double unseen_rate_margin = 1.5;

class CounterCurve {
 public:
  CounterCurve(const Channel& channel, std::int64_t interval_ns, const Plan* plan);

  void poll(std::int64_t begin, std::int64_t end, std::uint64_t raw) {
    if (tears(begin, end, raw)) return;
    take(begin, end, raw);
  }
  void gap(std::int64_t end) {
    settle_torn();
    if (!have_ && !missing_) last_end_ = end;  // a gap before the first reading begins where it was first missed
    missing_ = true;
    seen_end_ = end;
  }
  // What was asked for since the reading before the next one: what comes over twice as late is a gap.
  void set_interval(std::int64_t interval_ns) noexcept { interval_ns_ = interval_ns; }
  void close();  // answers what is pending from what is known now; no poll may follow

  [[nodiscard]] const Instants& instants() const noexcept { return instants_; }
  void forget_fixed() { instants_.forget(); }  // after close(): what is left is the grid
  [[nodiscard]] bool any() const noexcept { return have_; }
  [[nodiscard]] double total() const noexcept { return static_cast<double>(total_) * scale_; }  // last − first
  [[nodiscard]] std::int64_t first_begin() const noexcept { return first_begin_; }
  [[nodiscard]] std::int64_t last_end() const noexcept { return last_end_; }
  [[nodiscard]] std::uint64_t transitions() const noexcept { return transitions_; }
  [[nodiscard]] std::uint64_t wraps() const noexcept { return wraps_; }
  [[nodiscard]] std::uint64_t resets() const noexcept { return resets_; }
  [[nodiscard]] std::uint64_t ambiguous() const noexcept { return ambiguous_; }
  [[nodiscard]] std::uint64_t gaps() const noexcept { return gaps_; }
  [[nodiscard]] std::int64_t gap_ns() const noexcept { return gap_ns_; }
  [[nodiscard]] double period_s() const;    // documented or, where longer or unknown, learned; 0: not known
  [[nodiscard]] Point first_point() const;  // at the begin of the first read
  [[nodiscard]] Point last_point() const;   // at the end of the last read

 private:
  struct Mark {  // a transition: what bounds the curve
    std::int64_t previous_begin = 0, end = 0;
    double value = 0, spread_low = 0, spread_high = 0;
    bool resolved = false;    // the poll before it showed nothing new: the update lies between the two
    bool timed = false;       // on the grid of `segment`, at `k`
    std::size_t segment = 0;  // index into segments_
    std::int64_t k = 0;
  };
  struct Knot {  // what the point estimate goes through
    std::int64_t at = 0;
    double value = 0;
  };
  // The last N of many, by number; their count never ends, also where a size has 32 bits.
  template <class T, std::uint64_t N>
  struct Ring {
    std::array<T, N> items{};
    [[nodiscard]] static constexpr std::uint64_t size() { return N; }
    [[nodiscard]] T& operator[](std::uint64_t number) { return items[static_cast<std::size_t>(number % N)]; }
    [[nodiscard]] const T& operator[](std::uint64_t number) const {
      return items[static_cast<std::size_t>(number % N)];
    }
  };
  // Neighbouring fixed instants among the same updates: of very many requests each update has some of their edges.
  struct Waiting {
    Edge edge;  // at_ns: the first one's
    std::size_t from = 0, to = 0;
  };
  struct Torn {
    std::int64_t begin = 0, end = 0;
    std::uint64_t raw = 0;
  };
  static constexpr std::int64_t torn_after_ns = 100'000'000, torn_factor = 8;
  static constexpr int most_torn_on_end = 2;
  struct Suspect {
    std::int64_t begin = 0, end = 0;
    std::uint64_t raw = 0;
    CounterAdvance advance;
  };

  // A tick that others interrupted for longer than a cell read some counters before and some after, and who used what
  // in between would be turned upside down. The tick after it knows all of that, so the torn one says nothing; the last
  // of a Run, of several on end and of a sensor that always takes so long count as they are.
  bool tears(std::int64_t begin, std::int64_t end, std::uint64_t raw) {
    if (end - begin < shortest_tick_ns_) shortest_tick_ns_ = end - begin;
    const bool torn = have_ && end - begin > std::max(torn_after_ns, torn_factor * shortest_tick_ns_) &&
                      torn_on_end_ < most_torn_on_end;
    torn_on_end_ = torn ? torn_on_end_ + 1 : 0;
    torn_ = torn ? std::optional(Torn{begin, end, raw}) : std::nullopt;
    return torn;
  }
  void settle_torn() {
    if (!torn_) return;
    take(torn_->begin, torn_->end, torn_->raw);
    torn_.reset();
  }
  void take(std::int64_t begin, std::int64_t end, std::uint64_t raw) {
    if (have_ && raw == last_raw_ && !suspect_) {
      note_poll(begin, end);
      return;
    }
    changed(begin, end, raw);
  }
  void note_poll(std::int64_t begin, std::int64_t end) {
    if (missing_ || (interval_ns_ > 0 && begin - last_end_ > 2 * interval_ns_)) count_gap(begin);
    last_begin_ = begin;
    last_end_ = seen_end_ = end;
    flat_ = true;
  }
  void count_gap(std::int64_t begin);
  void changed(std::int64_t begin, std::int64_t end, std::uint64_t raw);
  void resolve_suspect(std::int64_t begin, std::int64_t end, std::uint64_t raw);
  void begin_curve(std::int64_t begin, std::int64_t end, std::uint64_t raw);
  void accept(const CounterAdvance& advance, std::int64_t begin, std::int64_t end, std::uint64_t raw);
  void commit(const Suspect& suspect);
  void transition(std::int64_t begin, std::int64_t end);
  void place_knots(std::int64_t begin, std::int64_t end);
  void add_knot(std::int64_t at, double value);
  void time_transition(std::int64_t earliest, std::int64_t latest);
  void begin_segment();
  void set_timed(Mark& mark, const UpdateClock& clock) const;
  void allow_jitter(const UpdateClock& clock);
  void end_segment();
  [[nodiscard]] UpdateClock new_clock() const;
  void answer_until(std::int64_t limit);
  void answer(const Point& point);
  void place_edges();
  void revise(std::size_t index, std::size_t segment, const EdgeValue& placed, const UpdateGrid& grid);
  [[nodiscard]] double elapsed_s(std::int64_t end) const;
  [[nodiscard]] double interpolate(std::int64_t at) const;
  [[nodiscard]] std::optional<double> believable_rate() const;
  [[nodiscard]] Point between(std::int64_t at) const;
  [[nodiscard]] Point open_ended(std::int64_t at) const;
  [[nodiscard]] const Mark& low_mark(std::int64_t at) const;
  [[nodiscard]] const Mark& high_mark(std::int64_t at) const;
  [[nodiscard]] std::optional<Edge> edge_at(std::int64_t at) const;
  [[nodiscard]] Update before_first(const Mark& first) const;
  void add_untimed_first(const Mark& second, Edge& edge) const;
  [[nodiscard]] double edge_sigma(const Mark& low, const Mark& high) const;
  [[nodiscard]] Mark& mark(std::uint64_t index) { return marks_[index % marks_.size()]; }
  [[nodiscard]] const Mark& mark(std::uint64_t index) const { return marks_[index % marks_.size()]; }
  [[nodiscard]] std::uint64_t oldest_mark() const {
    return mark_count_ > marks_.size() ? mark_count_ - marks_.size() : 0;
  }
  [[nodiscard]] const Mark& newest() const { return marks_[(mark_count_ - 1) % marks_.size()]; }

  CounterRules rules_;
  double scale_, step_, max_rate_;
  std::int64_t interval_ns_, period_ns_;
  bool renewed_at_every_read_;
  std::optional<LearnedPeriod> learned_;
  Instants instants_;

  bool have_ = false, missing_ = false, flat_ = false;
  std::uint64_t last_raw_ = 0, total_ = 0;
  std::int64_t first_begin_ = 0, first_end_ = 0, last_begin_ = 0, last_end_ = 0, seen_end_ = 0;
  std::optional<Suspect> suspect_;
  std::optional<Torn> torn_;
  std::int64_t shortest_tick_ns_ = std::numeric_limits<std::int64_t>::max() / torn_factor;
  int torn_on_end_ = 0;
  double spread_low_ = 0, spread_high_ = 0;
  std::optional<double> first_high_;  // no more than this at the first read
  Ring<Mark, 32> marks_;
  Ring<Knot, 64> knots_;
  std::uint64_t mark_count_ = 0, knot_count_ = 0;
  std::int64_t first_knot_ = 0;
  UpdateClock clock_;
  bool clock_runs_ = false;
  double jitter_ns_ = 0;
  std::vector<std::pair<std::int64_t, std::int64_t>> untimed_;  // the newest transitions that no segment holds yet
  std::vector<std::optional<UpdateGrid>> segments_;             // closed ones; the running one comes next
  std::vector<Waiting> waiting_;                                // fixed instants that wait for their segment's end
  double recent_rate_ = 0, largest_rate_ = 0;
  std::uint64_t rated_ = 0;
  std::uint64_t transitions_ = 0, wraps_ = 0, resets_ = 0, ambiguous_ = 0, gaps_ = 0;
  std::int64_t gap_ns_ = 0;
};

}  // namespace prony::attribution
