// The inside of Attribution: one fold per channel. Used by attribute.cpp (filling) and by what builds the ledger.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "attribute/attribute.hpp"
#include "attribute/clock_factor.hpp"
#include "attribute/counter_curve.hpp"
#include "attribute/gauge_curve.hpp"
#include "attribute/pace.hpp"
#include "attribute/plan.hpp"
#include "attribute/process_fold.hpp"
#include "attribute/request_work.hpp"

namespace prony {

namespace attribution {

// Readings of a gauge that is not energy, by window and by request.
class GaugeStats {
 public:
  struct Sum {
    double min = 0, max = 0, sum = 0, first = 0, last = 0;
    std::uint64_t readings = 0;
    void add(double value);
  };
  struct Request {
    Interval interval;
    std::size_t span = 0;  // index in the Run's spans
  };
  // `requests` (ordered by begin; may be null) must outlive this.
  explicit GaugeStats(const std::vector<Request>* requests) : requests_(requests) {
    if (requests != nullptr) per_request_.resize(requests->size());
  }
  void add(std::int64_t at, double value, const std::optional<Interval>& window);
  void gap() { ++gap_readings_; }

  [[nodiscard]] const Sum& window() const noexcept { return window_; }
  [[nodiscard]] const std::vector<Sum>& per_request() const noexcept { return per_request_; }
  [[nodiscard]] std::uint64_t gap_readings() const noexcept { return gap_readings_; }

 private:
  const std::vector<Request>* requests_;
  Sum window_;
  std::vector<Sum> per_request_;
  std::vector<std::size_t> active_;
  std::size_t next_request_ = 0;
  std::uint64_t gap_readings_ = 0;
};

// All that is folded of one channel.
struct Fold {
  Channel channel;
  const Plan* plan = nullptr;           // what is asked of the curve
  std::optional<CounterCurve> counter;  // counters of any quantity
  std::optional<GaugeCurve> gauge;      // power gauges
  std::optional<GaugeStats> stats;      // all that is not energy
  Pace pace;                            // of the group it is read with
  bool cpu_clock = false;
  bool gap_in_window = false;  // a reading failed within the measured window
};

}  // namespace attribution

struct Attribution::State {
  AttributionOptions options;
  std::vector<Span> spans;  // of the kinds that count here
  std::optional<Interval> run;
  std::optional<SpanId> run_span;
  attribution::Plan plan;
  // Of what gives no energy only the window, its phases and the grid are asked for: spans may be very many.
  attribution::Plan plan_of_use;
  std::optional<attribution::WorkInTime> work;  // where requests overlap and are to share by work
  std::vector<attribution::GaugeStats::Request> requests;
  std::vector<attribution::Fold> folds;
  std::unordered_map<std::uint32_t, std::vector<std::size_t>> fold_of_group;  // group → fold of each of its channels
  attribution::Clocks clocks;
  attribution::ProcessFold process_fold;
  std::vector<ProcessRecord> processes;
  double busy_staleness_s = 0;
  std::optional<Interval> recorded;

  void make_plan(std::span<const Channel> channels);
  void make_plan_of_use();
  void make_folds(std::span<const Channel> channels, std::span<const Group> groups);
  void push(const TickBlock& block);
  void push_clocks(const TickBlock& block, std::span<const std::size_t> fold_of_column);
  [[nodiscard]] Ledger ledger() const;
  [[nodiscard]] Ledger last_ledger();  // the same without copies: nothing may follow
};

namespace attribution {

// The tick-stale CPU counters need this many of their periods in a cell, so that one tick is at most 4 % of it.
inline constexpr std::int64_t staleness_per_cell = 25;
inline constexpr std::int64_t shortest_cell_ns = 100'000'000;
inline constexpr std::int64_t most_cells = 1 << 17;  // longer windows get longer cells: memory stays bounded
inline constexpr double unknown_staleness_s = 0.01;  // a kernel tick at HZ = 100, the longest in use
// Not resolvable: the doubt of the edges alone (half of high − low) is more than this share of the value.
inline constexpr double largest_edge_share = 0.25;

}  // namespace attribution

}  // namespace prony
