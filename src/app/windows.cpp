#include "app/windows.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace prony::app {

Result<std::vector<Ledger>> ledgers_of(const Run& run, std::span<const Interval> windows) {
  std::vector<Attribution> folds;
  for (const Interval window : windows) {
    Span whole;
    whole.id = SpanId{1};
    whole.kind = SpanKind::run;
    whole.interval = window;
    Span idle = whole;  // so that the ledger tells what others used in it
    idle.id = SpanId{2};
    idle.kind = SpanKind::phase;
    idle.name = phase::baseline_before;
    folds.emplace_back(run.channels(), run.groups(), std::array{whole, idle});
  }
  for (const Group& group : run.groups()) {
    const auto read = run.for_each_block(group.id, [&](const TickBlock& block) {
      for (Attribution& fold : folds) fold.push(block);
      return true;
    });
    if (!read) return Unexpected<Error>(read.error());
  }
  std::vector<Ledger> ledgers;
  for (Attribution& fold : folds) ledgers.push_back(fold.finish());
  return ledgers;
}

std::optional<Estimate> mean_watts(const Ledger& ledger, std::span<const ChannelId> channels) {
  std::optional<Estimate> sum;
  for (const ChannelId id : channels) {
    const auto row = std::ranges::find(ledger.energy, id, &ChannelLedger::channel);
    if (row == ledger.energy.end() || !row->gross) return std::nullopt;
    sum = sum ? *sum + *row->gross : *row->gross;
  }
  const double length_s = ledger.window.length().seconds().value();
  if (!sum || length_s <= 0) return std::nullopt;
  return Estimate{sum->value / length_s, sum->low / length_s, sum->high / length_s, sum->kind};
}

}  // namespace prony::app
