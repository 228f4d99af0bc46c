#include "attribute/baseline.hpp"

#include <algorithm>
#include <cmath>

namespace prony::attribution {

namespace {
// From which on two baselines of one Run are not the same idle: this share of their mean, and outside both's doubt.
constexpr double least_drift = 0.05;

bool is_idle_phase(const Span& span) {
  return span.kind == SpanKind::phase && (span.name == phase::baseline_before || span.name == phase::baseline_after);
}

bool lies_in(const Curve& curve, const Span& span) {
  return span.interval.length().ns > 0 && span.status != SpanStatus::unfinished &&
         span.interval.begin.ns < curve.last_ns() && span.interval.end.ns > curve.first_ns();
}

// Mean power over a phase; absent: not resolvable by this sensor.
std::optional<Estimate> watts_in(const Curve& curve, const Span& span) {
  const Measured energy = curve.between_fixed(span.interval.begin.ns, span.interval.end.ns);
  if (!energy.resolvable()) return std::nullopt;
  const double length_s = span.interval.length().seconds().value();
  return Estimate{energy.estimate.value / length_s, energy.estimate.low / length_s, energy.estimate.high / length_s,
                  weaker(energy.estimate.kind, EstimateKind::interval_95)};
}

// Seconds of CPU, whatever the channel gives: a modelled channel's curve is joules made of them.
double cpu_s_in(const Curve& curve, const Span& span) {
  const auto begin = span.interval.begin.ns, end = span.interval.end.ns;
  if (curve.channel().model) return curve.busy_at(end) - curve.busy_at(begin);
  return curve.between_fixed(begin, end).estimate.value;
}
}  // namespace

Baseline baseline_of(const Curve& curve, const std::vector<Span>& spans, std::span<const KnownIdle> known) {
  Baseline result;
  std::size_t found = 0;
  bool too_short = false;
  for (const Span& span : spans) {
    if (!is_idle_phase(span) || !lies_in(curve, span)) continue;
    const auto watts = watts_in(curve, span);
    if (!watts) {
      too_short = true;
      continue;
    }
    (span.name == phase::baseline_before ? result.before : result.after) = *watts;
    Estimate& sum = result.watts;
    sum = found == 0 ? *watts
                     : Estimate{sum.value + watts->value, std::min(sum.low, watts->low),
                                std::max(sum.high, watts->high), weaker(sum.kind, watts->kind)};
    ++found;
  }
  const auto kept = std::ranges::find(known, curve.channel().name, &KnownIdle::channel);
  if (found > 0)
    result.watts.value /= static_cast<double>(found);
  else if (kept != known.end())
    result.watts = {kept->watts.value, kept->watts.low, kept->watts.high,
                    weaker(kept->watts.kind, EstimateKind::interval_95)};
  else
    result.absent = too_short        ? "the baseline is too short for this sensor: measure a longer one"
                    : !known.empty() ? "the kept baseline does not hold this channel: `prony baseline` measures it"
                                     : "no baseline was measured: run with --baseline 3s";
  return result;
}

std::optional<Estimate> loaded_idle_w(const Curve& curve, const std::vector<Span>& spans) {
  for (const Span& span : spans)
    if (span.kind == SpanKind::phase && span.name == phase::baseline_loaded && lies_in(curve, span))
      return watts_in(curve, span);
  return std::nullopt;
}

std::optional<double> foreign_cpus(const Curve* busy, std::span<const Curve* const> own,
                                   const std::vector<Span>& spans) {
  if (busy == nullptr || !busy->any()) return std::nullopt;
  double foreign_s = 0, length_s = 0;
  for (const Span& span : spans) {
    if (!is_idle_phase(span) || !lies_in(*busy, span)) continue;
    foreign_s += cpu_s_in(*busy, span);
    length_s += span.interval.length().seconds().value();
    for (const Curve* curve : own)
      if (curve != nullptr && curve->any()) foreign_s -= cpu_s_in(*curve, span);
  }
  if (length_s <= 0) return std::nullopt;
  return std::max(0.0, foreign_s / length_s);  // busy time advances in ticks: it may lag behind the precise clocks
}

void tell_drift(const Baseline& base, ChannelLedger& row) {
  if (base.absent.empty()) row.idle_w = base.watts;
  if (base.before) row.idle_before_w = base.before->value;
  if (base.after) row.idle_after_w = base.after->value;
  if (!base.before || !base.after) return;
  const bool apart = base.before->high < base.after->low || base.after->high < base.before->low;
  row.idle_drifted = apart && std::abs(base.after->value - base.before->value) > least_drift * base.watts.value;
}

}  // namespace prony::attribution
