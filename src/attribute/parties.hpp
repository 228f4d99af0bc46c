// What each party is charged of one channel, with its doubt: its share of the edges' doubt, of the baseline's, and of
// what the stale CPU clocks blur. Pure. Joules.
#pragma once

#include <span>
#include <string>

#include "attribute/split.hpp"

namespace prony::attribution {

struct Window {
  const Measured& gross;
  Estimate idle;  // the baseline's power × the window's length; all zero: no baseline
  bool baseline = false;
  double length_s = 0;
  bool never_negative = false;  // what was read can only grow: nobody's part of it is less than nothing
};

// Fills target, targets, foreign, prony and idle, and why what is absent is.
void tell_parties(const Split& split, const Parties& parties, const Window& window, IdleTo idle_to,
                  std::span<const std::string> targets, ChannelLedger& row);

// What lies outside the window, and in it where nobody used anything.
[[nodiscard]] Estimate unattributed_of(const Curve& curve, const Window& window, const Parties& parties,
                                       const Estimate& recorded);

// Where the channel is not split: every party is absent for this reason.
void tell_no_parties(const std::string& why, std::span<const std::string> targets, ChannelLedger& row);

inline constexpr std::string_view why_no_share =
    "there was nothing to share, or somebody drew less than the baseline: what is left is no sum of shares";

// Of the parties' energy above idle (all, where there is no baseline), the targets'; absent: why_no_share.
[[nodiscard]] std::optional<double> target_share(const Split& split, const Parties& parties);

// "; idle to the parties by their shares": what a policy adds to a method; "" for IdleTo::none.
[[nodiscard]] std::string method_of(IdleTo policy);

}  // namespace prony::attribution
