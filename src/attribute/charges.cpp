// What spans and parties are charged: the flat list of charges, and what each span's window drew.
#include <algorithm>

#include "attribute/builder.hpp"
#include "attribute/part.hpp"

namespace prony::attribution {

void Builder::find_pieces() {
  const std::vector<Span>& spans = state_.spans;
  viewed_ = owners_of_viewers(spans);
  target_of_ = targets_of_spans(spans, viewed_, targets_, state_.processes, state_.options.requests_target);
  asynchronous_.resize(spans.size());
  for (std::size_t i = 0; i < spans.size(); ++i)
    asynchronous_[i] = is_host_asynchronous(spans[i]) || (viewed_[i] && is_host_asynchronous(spans[*viewed_[i]]));
  const bool any_asynchronous = std::ranges::find(asynchronous_, true) != asynchronous_.end();
  for (std::size_t target = 0; target < targets_.size(); ++target) {
    std::vector<bool> counts(spans.size());
    for (std::size_t i = 0; i < spans.size(); ++i) counts[i] = target_of_[i] == target;
    pieces_.push_back(make_pieces(spans, viewed_, counts, ledger_.window, state_.plan));
    if (!any_asynchronous) continue;
    for (std::size_t i = 0; i < spans.size(); ++i) counts[i] = counts[i] && !asynchronous_[i];
    synchronised_.push_back(make_pieces(spans, viewed_, counts, ledger_.window, state_.plan));
  }
}

// What a span is charged carries the doubt of its window's edges in proportion, and of the CPU clocks.
Estimate Builder::charged(double value, const Measured& gross, double length_s, double staleness_s) const {
  const Estimate& whole = gross.estimate;
  const double clocks = std::min(1.0, 2 * staleness_s / std::max(length_s, 1e-9));
  return part_of(value, whole, share_of(value, whole.value) * clocks);
}

void Builder::charge_spans(const Curve& curve, const Shared& shared, ChannelLedger& row) {
  const std::vector<Span>& spans = state_.spans;
  const auto& pieces = shared.accelerator && !synchronised_.empty() ? synchronised_ : pieces_;
  std::vector<double> parts(spans.size(), 0.0);
  std::vector<double> to_spans(targets_.size(), 0.0);
  std::vector<bool> owner(spans.size(), false);
  for (std::size_t target = 0; shared.parties && target < pieces.size(); ++target) {
    const std::vector<double>& energy = shared.parties->target_at[target];
    for (const Piece& piece : pieces[target]) {
      if (piece.owners.empty()) continue;
      const double amount = energy[piece.to] - energy[piece.from];
      const double each = amount / static_cast<double>(piece.owners.size());
      for (const std::size_t span : piece.owners) parts[span] += each, owner[span] = true;
      for (const std::size_t span : piece.viewers) parts[span] += each;
      to_spans[target] += amount;
    }
  }
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const Span& span = spans[i];
    if (span.kind == SpanKind::run) continue;
    const Measured gross = curve.between_fixed(span.interval.begin.ns, span.interval.end.ns);
    std::optional<Estimate> part;
    if (shared.parties)
      part = charged(parts[i], gross, span.interval.length().seconds().value(), shared.split->staleness_s);
    if (owner[i])
      ledger_.charges.push_back({row.channel, Party::target, span.id, *part,
                                 "the target's part in the span's time, " + row.method, targets_[target_of_[i]]});
    if (row.headline) span_energy(curve, i, gross, part, shared, row);
  }
  charge_parties(shared, to_spans, row);
}

void Builder::span_energy(const Curve& curve, std::size_t index, const Measured& gross,
                          const std::optional<Estimate>& part, const Shared& shared, const ChannelLedger& row) {
  const Span& span = state_.spans[index];
  SpanEnergy energy{span.id, row.channel, gross.resolvable(), {}, {}, {}, {}};
  const bool in_window = span.interval.begin >= ledger_.window.begin && span.interval.end <= ledger_.window.end;
  if (shared.accelerator && is_host_asynchronous(span)) {
    energy.resolvable = false;
    energy.absent = asynchronous_reason;
  } else if (!energy.resolvable) {
    energy.needed_s = needed_s(curve, gross, span.interval);
  } else {
    energy.gross = gross.estimate;
    energy.interval = gross.interval;
    const bool hidden = shared.accelerator && !asynchronous_.empty() && asynchronous_[index];
    if (hidden) energy.absent = asynchronous_reason;
    if (!shared.parties) energy.absent = shared.split->absent;
    if (part && in_window && !hidden) energy.charged = part;
  }
  ledger_.spans.push_back(std::move(energy));
}

void Builder::charge_parties(const Shared& shared, const std::vector<double>& to_spans, const ChannelLedger& row) {
  const auto charge = [&](Party party, const Estimate& joules, std::string method, std::string target = {}) {
    ledger_.charges.push_back({row.channel, party, SpanId{}, joules, std::move(method), std::move(target)});
  };
  if (shared.parties) {
    const double length_s = ledger_.window.length().seconds().value();
    const double clocks = std::min(1.0, 2 * shared.split->staleness_s / std::max(length_s, 1e-9));
    for (std::size_t target = 0; target < row.targets.size(); ++target) {
      if (!row.targets[target].charged) continue;
      const Estimate& whole = *row.targets[target].charged;
      const double shift = to_spans[target];
      charge(Party::target, rest_of(shift, whole, clocks), "the target outside all spans, " + row.method,
             row.targets[target].target);
    }
    charge(Party::foreign, *row.foreign, row.method);
    if (row.prony) charge(Party::prony, *row.prony, row.method);
    if (row.idle) charge(Party::idle, *row.idle, "baseline power × time");
  }
  charge(Party::unattributed, row.unattributed,
         shared.parties ? "outside the measured window, and where nobody used the CPU" : shared.split->absent);
}

}  // namespace prony::attribution
