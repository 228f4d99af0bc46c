#include "attribute/split.hpp"

#include <algorithm>
#include <unordered_map>

namespace prony::attribution {

namespace {

// How far the precise process clocks may run ahead of the tick-stale busy time before it is taken for a real
// difference.
constexpr double most_debt_ticks = 4;

std::vector<std::int64_t> cell_edges(Interval window, const Plan& plan) {
  std::vector<std::int64_t> edges{window.begin.ns};
  std::int64_t grid = (window.begin.ns / plan.step_ns + 1) * plan.step_ns;
  for (; grid < window.end.ns; grid += plan.step_ns) edges.push_back(grid);
  edges.push_back(window.end.ns);
  return edges;
}

double cpu_seconds(const Curve& curve, std::int64_t ns, const Plan& plan) {
  if (!curve.channel().model) return curve.at(ns);
  // The busy time itself, not the joules made of it.
  const auto& instants = curve.counter()->instants();
  const std::size_t index = plan.index_of(ns);
  if (index < plan.fixed.size() && plan.fixed[index] == ns) return instants.fixed(index).value;
  if (ns <= curve.first_ns()) return 0;
  if (ns >= curve.last_ns()) return curve.counter()->total();
  return instants.grid(ns);
}

std::vector<double> differences(const Curve* curve, const std::vector<std::int64_t>& edges, const Plan& plan) {
  std::vector<double> result(edges.size() - 1, 0.0);
  if (curve == nullptr || !curve->any()) return result;
  double before = cpu_seconds(*curve, edges[0], plan);
  for (std::size_t i = 1; i < edges.size(); ++i) {
    const double now = cpu_seconds(*curve, edges[i], plan);
    result[i - 1] = now - before;
    before = now;
  }
  return result;
}

}  // namespace

Split split_by_cpu_time(const CpuCurves& cpu, Interval window, const Plan& plan, double staleness_s) {
  Split split;
  split.prony_known = cpu.prony != nullptr && cpu.prony->any();
  if (cpu.target == nullptr || !cpu.target->any())
    split.absent = "no CPU time of the measured command was recorded";
  else if (cpu.busy == nullptr || !cpu.busy->any())
    split.absent = "no CPU time of the whole machine was recorded";
  else if (window.length().ns <= 0)
    split.absent = "the measured window is empty";
  if (!split.absent.empty()) return split;
  split.method = "by CPU time, in windows of " + std::to_string(plan.step_ns / 1'000'000) + " ms";
  split.edges = cell_edges(window, plan);
  const auto busy = differences(cpu.busy, split.edges, plan);
  const auto target = differences(cpu.target, split.edges, plan);
  const auto prony = differences(cpu.prony, split.edges, plan);
  split.shares.resize(busy.size());
  // Busy time advances in ticks, the parties' own clocks do not: where it lags, the parties' sum is taken, and what was
  // taken too much is owed to the next cells. Without that debt every lag would add to `foreign` and none would ever
  // leave it.
  double debt_s = 0;
  for (std::size_t i = 0; i < busy.size(); ++i) {
    const double own = target[i] + prony[i];
    const double available = busy[i] - debt_s;
    const double whole = std::max({available, own, 0.0});
    const double length_s = static_cast<double>(split.edges[i + 1] - split.edges[i]) * 1e-9;
    const double most_debt_s = most_debt_ticks * staleness_s * std::max(1.0, own / length_s);
    debt_s = std::clamp(whole - available, 0.0, most_debt_s);
    if (whole <= 0) continue;
    split.shares[i] = {target[i] / whole, prony[i] / whole, (whole - own) / whole, true};
  }
  return split;
}

namespace {

// Requests before phases before top-level user spans.
int rank_of(const Span& span, bool nested_user) {
  switch (span.kind) {
    case SpanKind::request: return 3;
    case SpanKind::phase: return 2;
    case SpanKind::user: return nested_user ? 0 : 1;
    default: return 0;
  }
}

// For each span the one whose part it shows: prefill and decode → their request, nested user spans → the outermost one.
std::vector<std::optional<std::size_t>> owners_of_viewers(const std::vector<Span>& spans) {
  std::unordered_map<std::uint64_t, std::size_t> by_id;
  for (std::size_t i = 0; i < spans.size(); ++i) by_id[spans[i].id.value] = i;
  std::vector<std::optional<std::size_t>> result(spans.size());
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const bool part = spans[i].kind == SpanKind::prefill || spans[i].kind == SpanKind::decode;
    const bool user = spans[i].kind == SpanKind::user;
    std::size_t at = i;
    for (std::size_t steps = 0; steps < spans.size() && (part || user); ++steps) {
      const auto parent = by_id.find(spans[at].parent.value);
      if (parent == by_id.end() || parent->second == at) break;
      at = parent->second;
      if (part && spans[at].kind == SpanKind::request) {
        result[i] = at;
        break;
      }
      if (user && spans[at].kind == SpanKind::user) result[i] = at;
    }
  }
  return result;
}

}  // namespace

std::vector<Piece> make_pieces(const std::vector<Span>& spans, Interval window, const Plan& plan) {
  const auto viewed = owners_of_viewers(spans);
  std::vector<std::vector<std::size_t>> starts(plan.fixed.size()), ends(plan.fixed.size());
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (spans[i].kind == SpanKind::run || spans[i].interval.length().ns <= 0) continue;
    starts[plan.index_of(spans[i].interval.begin.ns)].push_back(i);
    ends[plan.index_of(spans[i].interval.end.ns)].push_back(i);
  }
  std::vector<Piece> pieces;
  std::vector<std::size_t> active;
  for (std::size_t at = 0; at + 1 < plan.fixed.size(); ++at) {
    for (const std::size_t span : ends[at]) std::erase(active, span);
    for (const std::size_t span : starts[at]) active.push_back(span);
    if (active.empty() || plan.fixed[at] < window.begin.ns || plan.fixed[at + 1] > window.end.ns) continue;
    Piece piece{at, at + 1, {}, {}};
    int best = 1;
    for (const std::size_t span : active) best = std::max(best, rank_of(spans[span], viewed[span].has_value()));
    for (const std::size_t span : active)
      if (rank_of(spans[span], viewed[span].has_value()) == best) piece.owners.push_back(span);
    for (const std::size_t span : active)
      if (viewed[span] && std::ranges::find(piece.owners, *viewed[span]) != piece.owners.end())
        piece.viewers.push_back(span);
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

Parties split_channel(const Curve& curve, const Split& split, const Plan& plan, double idle_w) {
  Parties parties;
  parties.target_at.assign(plan.fixed.size(), 0.0);
  std::size_t fixed = plan.index_of(split.edges.front());
  double energy_before = curve.at(split.edges.front());
  for (std::size_t i = 0; i < split.shares.size(); ++i) {
    const std::int64_t begin = split.edges[i];
    const std::int64_t end = split.edges[i + 1];
    const Share& share = split.shares[i];
    const auto rest_until = [&](std::int64_t ns, double energy) {
      return energy - energy_before - idle_w * static_cast<double>(ns - begin) * 1e-9;
    };
    for (; fixed < plan.fixed.size() && plan.fixed[fixed] < end; ++fixed)
      parties.target_at[fixed] = parties.target + share.target * rest_until(plan.fixed[fixed], curve.at_fixed(fixed));
    const double energy = i + 1 == split.shares.size() ? curve.at(end) : curve.at_grid(end);
    const double rest = rest_until(end, energy);
    parties.idle += idle_w * static_cast<double>(end - begin) * 1e-9;
    if (share.any) {
      parties.target += share.target * rest;
      parties.prony += share.prony * rest;
      parties.foreign += share.foreign * rest;
    } else {
      parties.no_cpu += rest;
    }
    energy_before = energy;
  }
  for (; fixed < plan.fixed.size(); ++fixed) parties.target_at[fixed] = parties.target;
  return parties;
}

}  // namespace prony::attribution
