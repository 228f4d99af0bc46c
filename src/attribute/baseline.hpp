// Mean power where nothing ran: what the idle part of a channel's energy is told by. Watts. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "attribute/curve.hpp"

namespace prony::attribution {

struct Baseline {
  Estimate watts;
  std::optional<Estimate> before, after;
  std::string absent;  // why there is none; empty: there is
};

// From the phases of a Run where nothing ran; low and high span both phases and their doubts. Where none was measured,
// what `known` says of the channel.
[[nodiscard]] Baseline baseline_of(const Curve& curve, const std::vector<Span>& spans,
                                   std::span<const KnownIdle> known);
// The mean power while a model was loaded and nobody asked; absent: no such phase, or too short for this sensor.
[[nodiscard]] std::optional<Estimate> loaded_idle_w(const Curve& curve, const std::vector<Span>& spans);

// CPU time that others than `own` (the targets and Prony) used in the measured baselines, in CPUs: 0.5 is half of one.
// Absent: no baseline was measured, or no CPU time recorded.
[[nodiscard]] std::optional<double> foreign_cpus(const Curve* busy, std::span<const Curve* const> own,
                                                 const std::vector<Span>& spans);

// Fills idle_w, idle_before_w, idle_after_w and whether they are too far apart to be one idle.
void tell_drift(const Baseline& base, ChannelLedger& row);

}  // namespace prony::attribution
