#include "reports/merged.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "reports/figures.hpp"

namespace prony {

namespace {

constexpr int steps = 4;  // to each side

bool came_over(const Span& span) { return span.count("clock_doubt_ns").has_value(); }

void widen(std::optional<Estimate>& into, const std::optional<Estimate>& other) {
  if (!into || !other) return;
  into->low = std::min(into->low, other->low);
  into->high = std::max(into->high, other->high);
}

void widen(ChannelLedger& into, const ChannelLedger& other) {
  for (auto field : {&ChannelLedger::target, &ChannelLedger::foreign, &ChannelLedger::prony, &ChannelLedger::idle,
                     &ChannelLedger::interval, &ChannelLedger::gross, &ChannelLedger::active, &ChannelLedger::marginal,
                     &ChannelLedger::target_active})
    widen(into.*field, other.*field);
  for (std::size_t i = 0; i < into.targets.size() && i < other.targets.size(); ++i) {
    widen(into.targets[i].charged, other.targets[i].charged);
    widen(into.targets[i].active, other.targets[i].active);
  }
}

// Ledgers of the same Run have their rows in the same order, but for spans that trade places when they move.
template <class Row, class Same>
const Row* row_like(const std::vector<Row>& rows, std::size_t near, const Same& same) {
  if (near < rows.size() && same(rows[near])) return &rows[near];
  const auto found = std::ranges::find_if(rows, same);
  return found == rows.end() ? nullptr : &*found;
}

void widen(Ledger& into, const Ledger& other) {
  for (std::size_t i = 0; i < into.energy.size(); ++i)
    if (const auto* same =
            row_like(other.energy, i, [&](const auto& row) { return row.channel == into.energy[i].channel; }))
      widen(into.energy[i], *same);
  for (std::size_t i = 0; i < into.spans.size(); ++i) {
    SpanEnergy& span = into.spans[i];
    const auto* same = row_like(
        other.spans, i, [&](const SpanEnergy& one) { return one.span == span.span && one.channel == span.channel; });
    if (same == nullptr) continue;
    widen(span.gross, same->gross);
    widen(span.interval, same->interval);
    widen(span.charged, same->charged);
  }
  for (std::size_t i = 0; i < into.charges.size(); ++i) {
    Charge& charge = into.charges[i];
    const auto* same = row_like(other.charges, i, [&](const Charge& one) {
      return one.channel == charge.channel && one.party == charge.party && one.span == charge.span &&
             one.target == charge.target && one.method == charge.method;
    });
    if (same == nullptr) continue;
    charge.joules.low = std::min(charge.joules.low, same->joules.low);
    charge.joules.high = std::max(charge.joules.high, same->joules.high);
  }
  widen(into.headline_j, other.headline_j);
}

}  // namespace

Duration offset_doubt(const Manifest& manifest) {
  return Duration{
      std::max<std::int64_t>(0, parse_i64(manifest.get("merge.offset_doubt_ns").value_or("0")).value_or(0))};
}

std::vector<Span> moved(std::vector<Span> spans, Duration by) {
  for (Span& span : spans)
    if (came_over(span)) span.interval = {span.interval.begin + by, span.interval.end + by};
  return spans;
}

Result<void> widen_by_offset(Ledger& ledger, const std::vector<Span>& spans, Duration doubt,
                             const std::function<Result<Ledger>(const std::vector<Span>&)>& fold) {
  for (int step = -steps; step <= steps && doubt.ns > 0; ++step) {
    if (step == 0) continue;
    const auto other = fold(moved(spans, Duration{doubt.ns * step / steps}));
    if (!other) return Unexpected<Error>(other.error());
    widen(ledger, *other);
  }
  return {};
}

std::vector<std::string> merged_words(const Summary& summary) {
  const auto offset = parse_i64(summary.fact("merge.offset_ns"));
  if (!offset) return {};
  const double doubt_s = offset_doubt(summary.manifest).seconds().value();
  const std::string kind = summary.fact("merge.offset_kind");
  std::string clock = "its clock is laid to the server's within ±" + figures::seconds(doubt_s);
  if (!kind.empty()) clock += " (" + kind + ")";
  return {"requests of " + printable(summary.fact("merge.client_host"), 60) + ", joules of " +
              printable(summary.fact("merge.server_host"), 60),
          clock, printable(summary.fact("merge.method"), 160), "every ± has that in it"};
}

}  // namespace prony
