// Costs of prompt tokens, output tokens and cache reads, from windows of one Run in which their mix differed.
#include <algorithm>
#include <cmath>
#include <random>

#include "attribute/request_share.hpp"
#include "base/text.hpp"

namespace prony::attribution {

namespace {

constexpr double largest_condition = 30;       // Belsley, Kuh and Welsch: beyond, columns cannot be told apart
constexpr std::size_t windows_per_column = 4;  // fewer would fit anything
constexpr double periods_per_window = 10;      // so that the edges of a window are a small part of it
constexpr std::int64_t shortest_window_ns = 50'000'000;
constexpr std::int64_t most_windows = 4000;
constexpr std::size_t draws = 200;
constexpr std::uint64_t draw_seed = 1821;  // of the bootstrap: the same Run has the same interval

struct WorkWindow {
  FitVector done{};
  double joules = 0;
  std::int64_t ns = 0;
  WorkWindow& operator+=(const WorkWindow& other) {
    for (std::size_t i = 0; i < fit_columns; ++i) done[i] += other.done[i];
    joules += other.joules;
    ns += other.ns;
    return *this;
  }
};

// The charged joules up to any fixed instant or cell edge.
class Timeline {
 public:
  explicit Timeline(const ChargedCurve& curve) : curve_(curve) {
    if (curve.in_cell == nullptr) return;
    double sum = 0;
    at_edge_.push_back(0);
    for (const double cell : *curve.in_cell) at_edge_.push_back(sum += cell);
  }
  // Calls visit(from_ns, to_ns, joules) for what cell edges make of a piece.
  template <class Visit>
  void cut(const Piece& piece, Visit&& visit) const {
    std::int64_t from = curve_.plan->fixed[piece.from];
    double before = (*curve_.at_fixed)[piece.from];
    const std::int64_t end = curve_.plan->fixed[piece.to];
    if (!at_edge_.empty()) {
      const auto& edges = *curve_.edges;
      for (auto edge = std::ranges::upper_bound(edges, from); edge != edges.end() && *edge < end; ++edge) {
        const double until = at_edge_[static_cast<std::size_t>(edge - edges.begin())];
        visit(from, *edge, until - before);
        from = *edge, before = until;
      }
    }
    visit(from, end, (*curve_.at_fixed)[piece.to] - before);
  }

 private:
  const ChargedCurve& curve_;
  std::vector<double> at_edge_;
};

std::vector<WorkWindow> windows_of(const std::vector<Piece>& pieces, const std::vector<Span>& spans,
                                   const WorkInTime& work, const ChargedCurve& curve) {
  const Workload workload(work);
  const Timeline timeline(curve);
  std::int64_t busy_ns = 0;
  const auto is_request = [&](const Piece& piece) {
    return !piece.owners.empty() && spans[piece.owners.front()].kind == SpanKind::request;
  };
  for (const Piece& piece : pieces)
    if (is_request(piece)) busy_ns += curve.plan->fixed[piece.to] - curve.plan->fixed[piece.from];
  const std::int64_t width =
      std::max({shortest_window_ns, static_cast<std::int64_t>(periods_per_window * curve.period_s * 1e9),
                busy_ns / most_windows});
  std::vector<WorkWindow> windows;
  std::vector<FitVector> by_owner;
  WorkWindow open;
  for (const Piece& piece : pieces) {
    if (!is_request(piece)) continue;
    timeline.cut(piece, [&](std::int64_t from, std::int64_t to, double joules) {
      workload.between(piece, from, to, by_owner);
      WorkWindow slice{{}, joules, to - from};
      for (const FitVector& one : by_owner)
        for (std::size_t i = 0; i < fit_columns; ++i) slice.done[i] += one[i];
      open += slice;
      if (open.ns < width) return;
      windows.push_back(open);
      open = {};
    });
  }
  if (open.ns * 2 >= width) windows.push_back(open);
  return windows;
}

FitSums sums_of(const std::vector<WorkWindow>& windows) {
  FitSums sums;
  for (const WorkWindow& window : windows) sums.add(window.done, window.joules);
  return sums;
}

double residual_of(const std::vector<WorkWindow>& windows, const FitVector& cost, std::size_t columns) {
  double squares = 0, joules = 0;
  for (const WorkWindow& window : windows) {
    double told = 0;
    for (std::size_t i = 0; i < fit_columns; ++i) told += window.done[i] * cost[i];
    squares += (window.joules - told) * (window.joules - told);
    joules += window.joules;
  }
  const double degrees = static_cast<double>(windows.size()) - static_cast<double>(columns);
  const double mean = joules / static_cast<double>(windows.size());
  return mean > 0 && degrees > 0 ? std::sqrt(squares / degrees) / mean : 0;
}

struct Choice {
  FitColumns columns;
  const char* left_out;
};
// The first that can be told apart is taken.
constexpr std::array<Choice, 4> choices{
    {{{true, true, true, true}, ""},
     {{true, true, false, true}, "reads of the cache: they are in the output tokens"},
     {{true, true, true, false}, "what is shared: it is in the tokens"},
     {{true, true, false, false}, "reads of the cache and what is shared: they are in the tokens"}}};

std::size_t columns_in(const FitSums& sums, const FitColumns& columns) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < fit_columns; ++i)
    if (columns[i] && sums.products[i][i] > 0) ++count;
  return count;
}

// Blocks of neighbouring windows are drawn anew, with what they have in common.
std::vector<FitVector> drawn(const std::vector<WorkWindow>& windows, const FitColumns& columns) {
  const auto length = static_cast<std::size_t>(std::max(1.0, std::cbrt(static_cast<double>(windows.size()))));
  std::vector<FitSums> blocks;
  for (std::size_t i = 0; i < windows.size(); ++i) {
    if (i % length == 0) blocks.emplace_back();
    blocks.back().add(windows[i].done, windows[i].joules);
  }
  std::mt19937_64 random(draw_seed);
  std::vector<FitVector> costs;
  for (std::size_t draw = 0; draw < draws; ++draw) {
    FitSums sums;
    for (std::size_t i = 0; i < blocks.size(); ++i) sums += blocks[static_cast<std::size_t>(random() % blocks.size())];
    costs.push_back(non_negative_least_squares(sums, columns));
  }
  return costs;
}

Estimate interval_of(const std::vector<FitVector>& costs, std::size_t column, double value) {
  std::vector<double> values;
  for (const FitVector& cost : costs) values.push_back(cost[column]);
  std::ranges::sort(values);
  const std::size_t tail = values.size() / 40;  // 2.5 %
  return {value, std::min(value, values[tail]), std::max(value, values[values.size() - 1 - tail]),
          EstimateKind::interval_95};
}

FittedCosts told(const std::vector<WorkWindow>& windows, const Choice& choice, const FitSums& sums,
                 const WorkInTime& work) {
  FittedCosts fitted;
  fitted.cost = non_negative_least_squares(sums, choice.columns);
  const std::vector<FitVector> costs = drawn(windows, choice.columns);
  for (const FitVector& cost : costs)
    for (std::size_t i = 0; i < fit_columns; ++i)
      for (std::size_t j = 0; j < fit_columns; ++j)
        fitted.covariance[i][j] += (cost[i] - fitted.cost[i]) * (cost[j] - fitted.cost[j]) / static_cast<double>(draws);
  WorkFit& out = fitted.told;
  out.prefill_token_j = interval_of(costs, prefill_column, fitted.cost[prefill_column]);
  out.decode_token_j = interval_of(costs, decode_column, fitted.cost[decode_column]);
  if (choice.columns[kv_column]) out.kv_read_j = interval_of(costs, kv_column, fitted.cost[kv_column]);
  if (choice.columns[shared_column]) out.shared_j = interval_of(costs, shared_column, fitted.cost[shared_column]);
  out.shared_by_step = !work.steps.empty();
  out.left_out = choice.left_out;
  out.condition = condition_of(sums, choice.columns);
  out.residual = residual_of(windows, fitted.cost, columns_in(sums, choice.columns));
  out.windows = windows.size();
  std::int64_t ns = 0;
  for (const WorkWindow& window : windows) ns += window.ns;
  out.window_s = static_cast<double>(ns) * 1e-9 / static_cast<double>(windows.size());
  out.assumed = work.assumed;
  return fitted;
}

}  // namespace

double Workload::shared(std::int64_t from_ns, std::int64_t to_ns) const {
  if (!by_step()) return static_cast<double>(to_ns - from_ns) * 1e-9;
  const Interval window{Instant{from_ns}, Instant{to_ns}};
  double steps = 0;
  auto step =
      std::ranges::upper_bound(work_.steps, window.begin, {}, [](const EngineStep& one) { return one.interval.end; });
  for (; step != work_.steps.end() && step->interval.begin < window.end; ++step)
    steps += static_cast<double>(step->interval.overlap(window).ns) / static_cast<double>(step->interval.length().ns);
  return steps;
}

// What is shared goes to those that are served, by how long each is; where all of them wait, to all alike.
void Workload::between(const Piece& piece, std::int64_t from_ns, std::int64_t to_ns,
                       std::vector<FitVector>& by_owner) const {
  by_owner.assign(piece.owners.size(), FitVector{});
  const double common = shared(from_ns, to_ns);
  const Interval window{Instant{from_ns}, Instant{to_ns}};
  double served = 0;
  for (std::size_t i = 0; i < piece.owners.size(); ++i) {
    const PlacedWork& own = work_.requests[piece.owners[i]];
    const WorkAmount amount = own.between(from_ns, to_ns);
    by_owner[i] = {amount.prefill_tokens, amount.decode_tokens, amount.kv_read,
                   static_cast<double>(own.served.overlap(window).ns)};
    served += by_owner[i][shared_column];
  }
  for (FitVector& one : by_owner)
    one[shared_column] =
        common * (served > 0 ? one[shared_column] / served : 1 / static_cast<double>(piece.owners.size()));
}

Expected<FittedCosts, std::string> fit_costs(const std::vector<Piece>& pieces, const std::vector<Span>& spans,
                                             const WorkInTime& work, const ChargedCurve& curve) {
  const std::vector<WorkWindow> windows = windows_of(pieces, spans, work, curve);
  const FitSums sums = sums_of(windows);
  double joules = 0;
  for (const WorkWindow& window : windows) joules += window.joules;
  bool any_long_enough = false;
  double best = 0;
  for (const Choice& choice : choices) {
    const std::size_t columns = columns_in(sums, choice.columns);
    if (columns == 0 || windows.size() < windows_per_column * columns) continue;
    any_long_enough = true;
    best = condition_of(sums, choice.columns);
    if (best <= largest_condition && joules > 0) return told(windows, choice, sums, work);
  }
  if (!any_long_enough)
    return Unexpected<std::string>("requests ran for " + std::to_string(windows.size()) +
                                   " windows that this sensor can tell apart: too few for the costs of their tokens");
  if (joules <= 0) return Unexpected<std::string>("the requests together were charged nothing above idle");
  return Unexpected<std::string>(
      "prompt and output tokens came in the same mix throughout" +
      (std::isfinite(best) ? " (condition " + format_fixed(best, 0) + ", above 30)" : std::string()) +
      ": what each costs cannot be told apart");
}

}  // namespace prony::attribution
