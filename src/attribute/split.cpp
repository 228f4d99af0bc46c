#include "attribute/split.hpp"

#include <algorithm>
#include <numeric>

#include "base/text.hpp"

namespace prony::attribution {

namespace {

// How far the precise process clocks may run ahead of the tick-stale busy time before it is taken for a real
// difference.
constexpr double most_debt_ticks = 4;
// Who lives and dies between two looks is credited at the next look, a tenth of a second later and a little more.
constexpr std::int64_t latest_credit_ns = 250'000'000;

std::vector<std::int64_t> cell_edges(Interval window, const Plan& plan) {
  std::vector<std::int64_t> edges{window.begin.ns};
  std::int64_t grid = (window.begin.ns / plan.step_ns + 1) * plan.step_ns;
  for (; grid < window.end.ns; grid += plan.step_ns) edges.push_back(grid);
  edges.push_back(window.end.ns);
  return edges;
}

double used_until(const Curve& curve, std::int64_t ns, const Plan& plan) {
  if (!curve.channel().model) return curve.at(ns);
  // The busy time itself, not the joules made of it.
  const auto& instants = curve.counter()->instants();
  const std::size_t index = plan.index_of(ns);
  if (index < plan.fixed.size() && plan.fixed[index] == ns) return instants.fixed_value(index);
  if (ns <= curve.first_ns()) return 0;
  if (ns >= curve.last_ns()) return curve.counter()->total();
  return instants.grid(ns);
}

bool known(const Curve* curve) { return curve != nullptr && curve->any(); }

std::vector<double> differences(const Curve* curve, const std::vector<std::int64_t>& edges, const Plan& plan) {
  std::vector<double> result(edges.size() - 1, 0.0);
  if (!known(curve)) return result;
  double before = used_until(*curve, edges[0], plan);
  for (std::size_t i = 1; i < edges.size(); ++i) {
    const double now = used_until(*curve, edges[i], plan);
    result[i - 1] = std::max(now - before, 0.0);
    before = now;
  }
  return result;
}

std::string why_not_prony(const Basis& basis) {
  const auto of_what = [&basis]() -> std::string {
    switch (basis.weight) {
      case Weight::cycles: return "no CPU cycles of Prony itself were recorded";
      case Weight::cache_misses: return "no cache misses of Prony itself were recorded";
      case Weight::resident: return "no resident memory of Prony itself was recorded";
      case Weight::device_use: return "no use of " + basis.place + " by Prony itself was recorded";
      case Weight::cpu_time:
      case Weight::none: break;
    }
    return "no CPU time of Prony itself was recorded" + (basis.place.empty() ? "" : " for " + basis.place);
  };
  return of_what() + ": its part is in foreign";
}

std::string why_none(const Users& users, Interval window) {
  if (std::ranges::none_of(users.targets, known))
    return users.targets.size() < 2 ? "no CPU time of the measured command was recorded"
                                    : "no CPU time of any target was recorded";
  if (!known(users.host)) return "no CPU time of the whole machine was recorded";
  return window.length().ns <= 0 ? "the measured window is empty" : "";
}

}  // namespace

double Debt::whole(double told, double parts, double most) {
  const double whole = std::max({available(told), parts, 0.0});
  owed_ = std::clamp(whole - available(told), 0.0, most);
  return whole;
}

namespace {

// Targets that used more in a cell than the machine did were credited late: what is too much was used in the cells just
// before, where it looks like foreign use.
void move_to_where_it_was_used(Split& split, std::size_t cell, double too_much, std::int64_t latest_ns) {
  const auto use = [&split](std::size_t i) { return &split.used[i * split.parties()]; };
  double* const here = use(cell);
  double of_targets = 0;
  for (std::size_t target = 0; target < split.targets; ++target) of_targets += here[target];
  for (std::size_t i = cell; i > 0 && too_much > 0 && of_targets > 0; --i) {
    double* const before = use(i - 1);
    if (split.edges[cell] - split.edges[i] > latest_ns) break;
    const double moved = std::min({too_much, before[split.foreign()], of_targets});
    if (moved <= 0) continue;
    for (std::size_t target = 0; target < split.targets; ++target) {
      const double part = moved * (here[target] / of_targets);
      before[target] += part;
      here[target] -= part;
    }
    before[split.foreign()] -= moved;
    too_much -= moved;
    of_targets -= moved;
  }
}

}  // namespace

// Busy time advances in steps, the parties' own clocks do not: where it lags, the parties' sum is taken. Without the
// debt every lag would add to `foreign` and none would ever leave it.
Split split_by_use(const Basis& basis, const Users& users, Interval window, const Plan& plan) {
  Split split;
  split.targets = users.targets.size();
  for (const Curve* target : users.targets) split.target_known.push_back(known(target));
  split.prony_known = known(users.prony);
  if (!split.prony_known) split.prony_absent = why_not_prony(basis);
  split.staleness_s = std::max(users.staleness_s, users.late_s);
  split.absent = basis.weight == Weight::none ? basis.text : why_none(users, window);
  if (!split.absent.empty()) return split;
  split.method = basis.text + ", in windows of " + std::to_string(plan.step_ns / 1'000'000) + " ms";
  if (users.late_s > 0) split.method += "; looks came up to " + format_fixed(users.late_s, 1) + " s apart";
  split.edges = cell_edges(window, plan);
  const std::size_t cells = split.edges.size() - 1;
  split.used.resize(cells * split.parties());
  split.whole.resize(cells);
  split.totals.resize(split.parties());
  const auto fill = [&](const Curve* curve, std::size_t party) {
    const auto used = differences(curve, split.edges, plan);
    for (std::size_t i = 0; i < cells; ++i) split.used[i * split.parties() + party] = used[i];
    split.totals[party] = std::accumulate(used.begin(), used.end(), 0.0);
  };
  for (std::size_t target = 0; target < split.targets; ++target) fill(users.targets[target], target);
  fill(users.prony, split.prony());
  const auto host = differences(users.host, split.edges, plan);
  const std::int64_t latest_ns = latest_credit_ns + static_cast<std::int64_t>(users.late_s * 1e9);
  Debt debt;
  for (std::size_t i = 0; i < cells; ++i) {
    double* const used = &split.used[i * split.parties()];
    const auto own_use = [&] { return std::accumulate(used, used + split.foreign(), 0.0); };
    const double too_much = own_use() - debt.available(host[i]);
    if (too_much > 0) move_to_where_it_was_used(split, i, too_much, latest_ns);
    const double own = own_use();
    const double length_s = static_cast<double>(split.edges[i + 1] - split.edges[i]) * 1e-9;
    const double most = most_debt_ticks * users.staleness_s * std::max(1.0, own / length_s);
    split.whole[i] = debt.whole(host[i], own, most);
    used[split.foreign()] = split.whole[i] > 0 ? split.whole[i] - own : 0;
  }
  for (std::size_t i = 0; i < cells; ++i)
    split.totals[split.foreign()] += split.used[i * split.parties() + split.foreign()];
  return split;
}

namespace {

// In one cell: what part of the idle energy goes to each party.
class IdleShares {
 public:
  IdleShares(const Split& split, IdleTo policy) : split_(split), policy_(policy) {
    for (std::size_t target = 0; target < split.targets; ++target) all_targets_ += split.totals[target];
  }
  [[nodiscard]] double operator()(std::size_t cell, std::size_t party) const {
    if (policy_ == IdleTo::share) return split_.share(cell, party);
    if (policy_ == IdleTo::none || party >= split_.targets) return 0;
    double here = 0;
    for (std::size_t target = 0; target < split_.targets; ++target)
      here += split_.used[cell * split_.parties() + target];
    if (here > 0) return split_.used[cell * split_.parties() + party] / here;
    return all_targets_ > 0 ? split_.totals[party] / all_targets_ : 0;
  }

 private:
  const Split& split_;
  IdleTo policy_;
  double all_targets_ = 0;
};

}  // namespace

Parties split_channel(const Curve& curve, const Split& split, const SplitRequest& request) {
  const Plan& plan = *request.plan;
  const std::size_t count = split.parties();
  const IdleShares idle_shares(split, request.idle_to);
  Parties parties;
  parties.active.resize(count);
  parties.given.resize(count);
  parties.time.resize(count);
  const double length_s = static_cast<double>(split.edges.back() - split.edges.front()) * 1e-9;
  parties.target_at.assign(split.targets, std::vector<double>(plan.fixed.size(), 0.0));
  if (request.cells) parties.target_in.assign(split.targets, std::vector<double>(split.cells(), 0.0));
  std::vector<double> share(count), idle_share(count);
  std::size_t fixed = plan.index_of(split.edges.front());
  double energy_before = curve.at(split.edges.front());
  const auto first_stretch = request.stretch_ns > 0 ? stretch_of(split.edges.front(), request.stretch_ns) : 0;
  for (std::size_t i = 0; i < split.cells(); ++i) {
    const std::int64_t begin = split.edges[i];
    const std::int64_t end = split.edges[i + 1];
    double taken = 0;
    for (std::size_t party = 0; party < count; ++party) {
      share[party] = split.share(i, party);
      idle_share[party] = request.idle_w != 0 ? idle_shares(i, party) : 0;
      taken += idle_share[party];
    }
    const auto idle_until = [&](std::int64_t ns) { return request.idle_w * static_cast<double>(ns - begin) * 1e-9; };
    const auto rest_until = [&](std::int64_t ns, double energy) { return energy - energy_before - idle_until(ns); };
    for (; fixed < plan.fixed.size() && plan.fixed[fixed] < end; ++fixed) {
      const double rest = rest_until(plan.fixed[fixed], curve.at_fixed(fixed));
      const double idle = idle_until(plan.fixed[fixed]);
      for (std::size_t target = 0; target < split.targets; ++target)
        parties.target_at[target][fixed] =
            parties.active[target] + share[target] * rest + (parties.given[target] + idle_share[target] * idle);
    }
    const double energy = i + 1 == split.cells() ? curve.at(end) : curve.at_grid(end);
    const double rest = rest_until(end, energy);
    const double idle = idle_until(end);
    std::vector<double>* stretch = nullptr;
    if (request.stretch_ns > 0) {
      const auto index = static_cast<std::size_t>(stretch_of(begin, request.stretch_ns) - first_stretch);
      while (parties.in_stretch.size() <= index) parties.in_stretch.emplace_back(count, 0.0);
      stretch = &parties.in_stretch[index];
    }
    for (std::size_t party = 0; party < count; ++party) {
      parties.active[party] += share[party] * rest;
      parties.given[party] += idle_share[party] * idle;
      parties.time[party] += share[party] * static_cast<double>(end - begin) * 1e-9 / length_s;
      if (stretch != nullptr) (*stretch)[party] += share[party] * rest + idle_share[party] * idle;
    }
    for (std::size_t target = 0; target < parties.target_in.size(); ++target)
      parties.target_in[target][i] = share[target] * rest + idle_share[target] * idle;
    if (taken <= 0) parties.idle += idle;
    if (split.whole[i] <= 0) parties.no_use += rest;
    energy_before = energy;
  }
  for (; fixed < plan.fixed.size(); ++fixed)
    for (std::size_t target = 0; target < split.targets; ++target)
      parties.target_at[target][fixed] = parties.charged(target);
  return parties;
}

}  // namespace prony::attribution
