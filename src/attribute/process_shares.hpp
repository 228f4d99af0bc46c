// What each party is charged → what each of its followed processes is: in each stretch by CPU time. Pure; seconds, J.
#pragma once

#include <functional>
#include <vector>

#include "attribute/process_fold.hpp"
#include "attribute/split.hpp"

namespace prony::attribution {

// Which of the followed processes get a row, whose they are, and what each stretch's use is divided by.
struct ProcessShares {
  std::vector<std::size_t> party;  // by slot; as numbered by Split
  std::vector<double> cpu_s;       // by slot, in the window
  std::vector<bool> has_row;       // by slot
  std::vector<double> whole_s;     // stretch × party: what the party used there, at least what its processes did
  std::int64_t first_stretch = 0;
};
// `party_of`: by process number. `machine`: the split by CPU time.
[[nodiscard]] ProcessShares share_among_processes(const ProcessFold& fold, const Split& machine,
                                                  const std::function<std::size_t(std::uint32_t)>& party_of,
                                                  std::size_t most_rows);

// Fills `processes` and what no row has, of a row whose targets are charged. `parties` with stretches of the fold.
void charge_processes(const ProcessFold& fold, const ProcessShares& shares, const Parties& parties, double window_s,
                      ChannelLedger& row);

}  // namespace prony::attribution
