#include "attribute/process_shares.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "attribute/part.hpp"

namespace prony::attribution {

ProcessShares share_among_processes(const ProcessFold& fold, const Split& machine,
                                    const std::function<std::size_t(std::uint32_t)>& party_of, std::size_t most_rows) {
  ProcessShares shares;
  const auto numbers = fold.numbers();
  const std::size_t parties = machine.parties();
  for (const std::uint32_t number : numbers) shares.party.push_back(party_of(number));
  shares.cpu_s.resize(numbers.size());
  shares.first_stretch = stretch_of(machine.edges.front(), fold.width_ns());
  const auto index = [&](std::int64_t ns) {
    return static_cast<std::size_t>(stretch_of(ns, fold.width_ns()) - shares.first_stretch);
  };
  const std::size_t stretches = index(machine.edges[machine.cells() - 1]) + 1;
  shares.whole_s.assign(stretches * parties, 0.0);
  std::vector<double> own(stretches * parties, 0.0);
  for (std::size_t cell = 0; cell < machine.cells(); ++cell)
    for (std::size_t party = 0; party < parties; ++party)
      shares.whole_s[index(machine.edges[cell]) * parties + party] += machine.used[cell * parties + party];
  fold.for_each_stretch([&](std::int64_t number, auto slots, auto cpu_s) {
    const std::int64_t at = number - shares.first_stretch;
    if (at < 0 || at >= static_cast<std::int64_t>(stretches)) return;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      own[static_cast<std::size_t>(at) * parties + shares.party[slots[i]]] += cpu_s[i];
      shares.cpu_s[slots[i]] += cpu_s[i];
    }
  });
  for (std::size_t party = 0; party < parties; ++party) {
    Debt debt;  // looks and cells are not taken at the same moments
    for (std::size_t at = party; at < own.size(); at += parties)
      shares.whole_s[at] = debt.whole(shares.whole_s[at], own[at], own[at]);
  }
  std::vector<std::uint32_t> order(numbers.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, [&](std::uint32_t a, std::uint32_t b) {
    return shares.cpu_s[a] != shares.cpu_s[b] ? shares.cpu_s[a] > shares.cpu_s[b] : numbers[a] < numbers[b];
  });
  shares.has_row.resize(numbers.size());
  std::size_t rows = 0;
  for (const std::uint32_t slot : order) {
    if (rows == most_rows) break;
    if (shares.party[slot] == machine.prony() || shares.cpu_s[slot] <= 0) continue;
    shares.has_row[slot] = true;
    ++rows;
  }
  return shares;
}

void charge_processes(const ProcessFold& fold, const ProcessShares& shares, const Parties& parties, double window_s,
                      ChannelLedger& row) {
  const std::size_t count = parties.active.size();
  const std::size_t foreign = count - 1;
  std::vector<double> joules(shares.party.size(), 0.0);
  fold.for_each_stretch([&](std::int64_t number, auto slots, auto cpu_s) {
    const std::int64_t at = number - shares.first_stretch;
    if (at < 0 || at >= static_cast<std::int64_t>(parties.in_stretch.size())) return;
    const auto index = static_cast<std::size_t>(at);
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const std::size_t party = shares.party[slots[i]];
      const double whole_s = shares.whole_s[index * count + party];
      if (whole_s > 0) joules[slots[i]] += parties.in_stretch[index][party] / whole_s * cpu_s[i];
    }
  });
  const auto of_party = [&](std::size_t party) -> const std::optional<Estimate>& {
    return party == foreign ? row.foreign : row.targets[party].charged;
  };
  const bool late = fold.longest_ns() > 2 * fold.width_ns();
  const std::int64_t late_ns = late ? fold.longest_ns() : fold.width_ns();
  const double skew = std::min(1.0, 2e-9 * static_cast<double>(late_ns) / std::max(window_s, 1e-9));
  std::vector<double> party_s(count, 0.0);
  for (std::size_t at = 0; at < shares.whole_s.size(); ++at) party_s[at % count] += shares.whole_s[at];
  std::vector<double> told(count, 0.0);
  for (std::size_t slot = 0; slot < joules.size(); ++slot) {
    const std::size_t party = shares.party[slot];
    if (!shares.has_row[slot] || !of_party(party)) continue;
    const Estimate part =
        part_by_time(joules[slot], *of_party(party), skew, share_of(shares.cpu_s[slot], party_s[party]));
    row.processes.push_back({fold.numbers()[slot], shares.cpu_s[slot], part});
    told[party] += joules[slot];
  }
  std::ranges::sort(row.processes, [](const ProcessEnergy& a, const ProcessEnergy& b) {
    return a.charged.value != b.charged.value ? a.charged.value > b.charged.value : a.process < b.process;
  });
  for (std::size_t target = 0; target < row.targets.size(); ++target)
    if (const auto& whole = row.targets[target].charged)
      row.targets[target].unfollowed = rest_of(told[target], *whole, skew);
  if (row.foreign) row.foreign_unfollowed = rest_of(told[foreign], *row.foreign, skew);
}

}  // namespace prony::attribution
