// Mean power where nothing ran: what the idle part of a channel's energy is told by. Watts. Pure.
#pragma once

#include <optional>
#include <string>

#include "attribute/curve.hpp"

namespace prony::attribution {

struct Baseline {
  Estimate watts;
  std::optional<Estimate> before, after;
  std::string absent;  // why there is none; empty: there is
};

// From the phases of a Run where nothing ran; low and high span both phases and their doubts.
[[nodiscard]] Baseline baseline_of(const Curve& curve, const std::vector<Span>& spans);

// Fills idle_before_w, idle_after_w and whether they are too far apart to be one idle.
void tell_drift(const Baseline& base, ChannelLedger& row);

}  // namespace prony::attribution
