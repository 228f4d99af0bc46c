// Estimates and charges: how much of a quantity a channel gives to whom, with low, high and what they promise.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/channel.hpp"
#include "model/shared_text.hpp"
#include "model/span.hpp"

namespace prony {

enum class EstimateKind {
  bound,        // cannot be outside low…high
  interval_95,  // low…high covers the truth in 95 % of cases
  range,        // modelled: no coverage claimed
};
[[nodiscard]] std::string_view to_string(EstimateKind kind) noexcept;  // "bound", "interval(0.95)", "range"
// The weaker promise of the two: bound > interval > range.
[[nodiscard]] constexpr EstimateKind weaker(EstimateKind a, EstimateKind b) noexcept { return a < b ? b : a; }

struct Estimate {
  double value = 0;  // in the channel's energy unit: J
  double low = 0;
  double high = 0;
  EstimateKind kind = EstimateKind::bound;
};
// Sums of systematic errors: low with low, high with high.
[[nodiscard]] constexpr Estimate operator+(const Estimate& a, const Estimate& b) {
  return {a.value + b.value, a.low + b.low, a.high + b.high, weaker(a.kind, b.kind)};
}

// What recorded clocks made of a modelled channel's load part, published at the reference clock or above: E_load ×
// value.
struct ModelClock {
  double mean_hz = 0;       // of busy CPUs in the measured window, weighted by busy time
  double reference_hz = 0;  // PowerModel::reference_clock_hz
  double low = 1, value = 1, high = 1;
};

// To whom energy goes. Together they are the whole of a channel's recorded energy (law 1).
enum class Party { target, foreign, prony, idle, unattributed };
[[nodiscard]] std::string_view to_string(Party party) noexcept;

struct Charge {
  ChannelId channel;
  Party party = Party::unattributed;
  SpanId span;  // the span it is charged to; none for the parties other than target, or for the target's rest
  Estimate joules;
  SharedText method;       // "cpu-time share", "last − first reading", …
  SharedText target = {};  // party target: the Target::name it is charged to
};

}  // namespace prony
