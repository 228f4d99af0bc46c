#include "attribute/baseline.hpp"

#include <algorithm>
#include <cmath>

namespace prony::attribution {

namespace {
// From which on two baselines of one Run are not the same idle: this share of their mean, and outside both's doubt.
constexpr double least_drift = 0.05;
}  // namespace

Baseline baseline_of(const Curve& curve, const std::vector<Span>& spans) {
  Baseline result;
  std::size_t found = 0;
  bool too_short = false;
  for (const Span& span : spans) {
    if (span.kind != SpanKind::phase || (span.name != phase::baseline_before && span.name != phase::baseline_after))
      continue;
    const double length_s = span.interval.length().seconds().value();
    if (length_s <= 0 || span.status == SpanStatus::unfinished || span.interval.begin.ns >= curve.last_ns() ||
        span.interval.end.ns <= curve.first_ns())
      continue;
    const Measured energy = curve.between_fixed(span.interval.begin.ns, span.interval.end.ns);
    if (!energy.resolvable()) {
      too_short = true;
      continue;
    }
    const Estimate watts{energy.estimate.value / length_s, energy.estimate.low / length_s,
                         energy.estimate.high / length_s, weaker(energy.estimate.kind, EstimateKind::interval_95)};
    (span.name == phase::baseline_before ? result.before : result.after) = watts;
    Estimate& sum = result.watts;
    sum = found == 0 ? watts
                     : Estimate{sum.value + watts.value, std::min(sum.low, watts.low), std::max(sum.high, watts.high),
                                weaker(sum.kind, watts.kind)};
    ++found;
  }
  if (found > 0)
    result.watts.value /= static_cast<double>(found);
  else
    result.absent = too_short ? "the baseline is too short for this sensor: measure a longer one"
                              : "no baseline was measured: run with --baseline 3s";
  return result;
}

void tell_drift(const Baseline& base, ChannelLedger& row) {
  if (base.before) row.idle_before_w = base.before->value;
  if (base.after) row.idle_after_w = base.after->value;
  if (!base.before || !base.after) return;
  const bool apart = base.before->high < base.after->low || base.after->high < base.before->low;
  row.idle_drifted = apart && std::abs(base.after->value - base.before->value) > least_drift * base.watts.value;
}

}  // namespace prony::attribution
