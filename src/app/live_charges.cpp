#include "app/live_charges.hpp"

#include <algorithm>
#include <limits>

namespace prony::app {

namespace {

constexpr Duration charge_patience = milliseconds(5'000);  // a lane that is further behind is not waited for
constexpr Duration least_margin = milliseconds(2'000);     // of ticks before a request: its edges lie between updates

std::size_t bytes_of(std::size_t channels) { return 64 + channels * sizeof(Reading); }

}  // namespace

LiveCharges::LiveCharges(LivePlan plan) : plan_(std::move(plan)) {
  for (const Group& group : plan_.groups) lanes_.push_back({group, {}});
}

void LiveCharges::see(const TickBlock& block) {
  const auto lane = std::ranges::find(lanes_, block.group(), [](const Lane& one) { return one.group.id; });
  if (lane == lanes_.end()) return;
  for (std::size_t tick = 0; tick < block.ticks(); ++tick) {
    Tick copy{block.begin(tick), block.end(tick), {}};
    copy.readings.reserve(block.channels());
    for (std::size_t c = 0; c < block.channels(); ++c) copy.readings.push_back(block.reading(c, tick));
    lane->ticks.push_back(std::move(copy));
    bytes_ += bytes_of(block.channels());
  }
  forget_old();
}

void LiveCharges::began(const Span& request) { open_[request.id.value] = request; }

void LiveCharges::ended(const Span& request) {
  open_.erase(request.id.value);
  waiting_.push_back(request);
}

void LiveCharges::forget(SpanId request) { open_.erase(request.value); }

Instant LiveCharges::newest() const {
  Instant at{std::numeric_limits<std::int64_t>::min()};
  for (const Lane& lane : lanes_)
    if (!lane.ticks.empty()) at = std::max(at, lane.ticks.back().end);
  return at;
}

// From when on every lane that has ticks has them.
std::optional<Instant> LiveCharges::oldest() const {
  std::optional<Instant> at;
  for (const Lane& lane : lanes_)
    if (!lane.ticks.empty()) at = std::max(at.value_or(lane.ticks.front().begin), lane.ticks.front().begin);
  return at;
}

// What nobody needs any more goes; then, where too much is held, what is oldest.
void LiveCharges::forget_old() {
  Instant needed = newest();
  for (const auto& [id, span] : open_) needed = std::min(needed, span.interval.begin);
  for (const Span& span : waiting_) needed = std::min(needed, span.interval.begin);
  const Instant spans_from = needed;
  while (!told_.empty() && told_.front().interval.end < spans_from) told_.pop_front();
  for (Lane& lane : lanes_) {
    const Instant from = needed - std::max(least_margin, 3 * lane.group.interval);
    // One tick before it stays: an edge lies between two.
    while (lane.ticks.size() > 2 && lane.ticks[1].end < from) {
      bytes_ -= bytes_of(lane.ticks.front().readings.size());
      lane.ticks.pop_front();
    }
  }
  while (bytes_ > most_bytes) {
    Lane* longest = &lanes_.front();
    for (Lane& lane : lanes_)
      if (lane.ticks.size() * bytes_of(lane.group.channels.size()) >
          longest->ticks.size() * bytes_of(longest->group.channels.size()))
        longest = &lane;
    if (longest->ticks.size() < 2) return;
    bytes_ -= bytes_of(longest->ticks.front().readings.size());
    longest->ticks.pop_front();
  }
}

// Two ticks beyond it: the first may hold a counter that had not moved yet.
bool LiveCharges::passed(Instant end, Instant now) const {
  return std::ranges::all_of(lanes_, [&](const Lane& lane) {
    if (lane.ticks.size() < 2 || lane.group.interval > charge_patience) return true;
    return lane.ticks[lane.ticks.size() - 2].begin >= end || now - end > charge_patience;
  });
}

std::vector<Span> LiveCharges::sharing(Interval window) const {
  std::vector<Span> spans;
  const auto take = [&](const Span& span) {
    if (span.interval.overlap(window).ns > 0) spans.push_back(span);
  };
  for (const Span& span : told_) take(span);
  for (const Span& span : waiting_) take(span);
  for (auto [id, span] : open_) {
    span.interval.end = std::max(span.interval.begin, window.end);
    take(span);
  }
  return spans;
}

Ledger LiveCharges::attribute(Interval around, std::vector<Span> spans) const {
  AttributionOptions options;
  options.targets = plan_.targets;
  options.requests_target = plan_.requests_target;
  Attribution fold(plan_.channels, plan_.groups, spans, options);
  for (const Lane& lane : lanes_) {
    const Duration margin = std::max(least_margin, 3 * lane.group.interval);
    TickBlock block(lane.group.id, lane.group.channels.size(), std::max<std::size_t>(1, lane.ticks.size()));
    for (const Tick& tick : lane.ticks)
      if (tick.end >= around.begin - margin && tick.begin <= around.end + margin)
        block.push(tick.begin, tick.end, tick.readings);
    if (block.ticks() > 0) fold.push(block);
  }
  return fold.finish();
}

LiveCharge LiveCharges::charge_of(const Ledger& ledger, SpanId span) const {
  LiveCharge charge;
  charge.span = span;
  bool whole = true;
  for (const SpanEnergy& part : ledger.spans) {
    if (part.span != span) continue;
    const auto row = std::ranges::find(ledger.energy, part.channel, &ChannelLedger::channel);
    if (row == ledger.energy.end() || !row->headline) continue;
    const auto channel = std::ranges::find(plan_.channels, part.channel, &Channel::id);
    if (channel == plan_.channels.end()) continue;
    charge.channels.push_back(channel->name);
    if (channel->model || channel->origin != Origin::measured)
      charge.origin = channel->origin == Origin::derived ? Origin::derived : Origin::modelled;
    if (part.charged) charge.charged = charge.charged ? *charge.charged + *part.charged : *part.charged;
    if (part.gross) charge.gross = charge.gross ? *charge.gross + *part.gross : *part.gross;
    if (part.charged) continue;
    whole = false;
    charge.absent = !part.absent.empty() ? part.absent.str()
                    : !part.resolvable   ? "too short for the sensor " + channel->name
                                         : "not all of it was recorded";
  }
  if (!whole) charge.charged.reset();
  if (!charge.charged && charge.absent.empty()) charge.absent = "no sensor tells this machine's joules";
  if (!charge.charged) charge.gross.reset();
  return charge;
}

std::vector<LiveCharge> LiveCharges::settle(Instant now, bool last) {
  std::vector<Span> batch;
  std::erase_if(waiting_, [&](const Span& span) {
    const bool due = last || passed(span.interval.end, now);
    if (due) batch.push_back(span);
    return due;
  });
  if (batch.empty()) return {};
  Interval window = batch.front().interval;
  for (const Span& span : batch) {
    window.begin = std::min(window.begin, span.interval.begin);
    window.end = std::max(window.end, span.interval.end);
  }
  std::vector<Span> spans = sharing(window);
  spans.insert(spans.end(), batch.begin(), batch.end());
  const Ledger ledger = attribute(window, std::move(spans));
  std::vector<LiveCharge> charges;
  const auto from = oldest();
  for (const Span& span : batch) {
    LiveCharge charge = charge_of(ledger, span.id);
    if (from && span.interval.begin < *from) {
      charge.charged.reset(), charge.gross.reset();
      charge.absent = "it began before the oldest tick that is held live: the Run has its joules";
    }
    charges.push_back(std::move(charge));
    told_.push_back(span);
  }
  std::ranges::sort(told_, {}, [](const Span& span) { return span.interval.end; });
  forget_old();
  return charges;
}

LiveCharges::SoFar LiveCharges::so_far(Instant begin) const {
  constexpr SpanId itself{std::numeric_limits<std::uint64_t>::max()};
  const Instant end = newest();
  SoFar told;
  told.charge.span = itself;
  told.charge.absent = "no tick since it began";
  if (end <= begin) return told;
  // It is among those that are open already, by another id: it must not share with itself.
  std::vector<Span> spans = sharing({begin, end});
  std::erase_if(spans, [&](const Span& span) { return open_.contains(span.id.value) && span.interval.begin == begin; });
  Span span;
  span.id = itself;
  span.kind = SpanKind::request;
  span.interval = {begin, end};
  spans.push_back(span);
  told.charge = charge_of(attribute({begin, end}, std::move(spans)), itself);
  told.covered = end - begin;
  return told;
}

}  // namespace prony::app
