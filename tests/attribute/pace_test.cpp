// A lane that an overhead budget slowed is not a lane with gaps. Bugs: the first interval held against all ticks; the
// new one held against the tick across the change; gaps no longer seen at the slower pace.
#include <gtest/gtest.h>

#include "attribute/attribute.hpp"
#include "model/interval_change.hpp"
#include "rig.hpp"

namespace prony {
namespace {

using rig::millisecond;

constexpr std::int64_t start = 1000 * millisecond;

Channel watts() {
  Channel channel;
  channel.name = channel.domain = "board.power";
  channel.sensor = "fake";
  channel.measure = Measure::power;
  channel.kind = ChannelKind::gauge;
  return channel;
}

Channel joules() {
  Channel channel = watts();
  channel.id = {1};
  channel.name = channel.domain = "package-0";
  channel.measure = Measure::energy;
  channel.kind = ChannelKind::counter;
  return channel;
}

// Ticks at these times (ms), of a constant 10 W.
Ledger ledger_at(const std::vector<std::int64_t>& times_ms, std::vector<IntervalChange> changes) {
  const std::vector<Channel> channels{watts(), joules()};
  const std::vector<Group> groups{
      {GroupId{0}, "fast", milliseconds(10), {ChannelId{0}, ChannelId{1}}, std::move(changes)}};
  Attribution attribution(channels, groups, {});
  TickBlock block(GroupId{0}, 2, times_ms.size());
  for (const std::int64_t at : times_ms) {
    const Reading readings[2] = {{10, Quality::ok}, {at / 100, Quality::ok}};
    block.push({start + at * millisecond}, {start + at * millisecond + 1000}, readings);
  }
  attribution.push(block);
  return attribution.finish();
}

std::vector<std::int64_t> slowed_at_100_and_back_at_500() {
  std::vector<std::int64_t> times;
  for (std::int64_t t = 0; t <= 100; t += 10) times.push_back(t);
  for (std::int64_t t = 180; t <= 500; t += 80) times.push_back(t);
  for (std::int64_t t = 580; t <= 900; t += 10) times.push_back(t);  // the change was heard at the end of a long sleep
  return times;
}

const std::vector<IntervalChange> told_changes{{{start + 101 * millisecond}, milliseconds(80)},
                                               {{start + 501 * millisecond}, milliseconds(10)}};

TEST(Pace, ASlowedLaneHasNoGapsWhereItsChangesAreTold) {
  for (const ChannelLedger& ledger : ledger_at(slowed_at_100_and_back_at_500(), told_changes).energy) {
    EXPECT_EQ(ledger.gaps, 0U) << ledger.channel.value;
    EXPECT_EQ(ledger.gap_time.ns, 0);
  }
  for (const ChannelLedger& ledger : ledger_at(slowed_at_100_and_back_at_500(), {}).energy)
    EXPECT_EQ(ledger.gaps, 6U) << "untold, a slower pace is gaps";
}

TEST(Pace, ARealGapIsSeenAtEitherPace) {
  auto times = slowed_at_100_and_back_at_500();
  std::erase_if(times, [](std::int64_t t) { return (t > 200 && t < 500) || (t > 700 && t < 750); });
  for (const ChannelLedger& ledger : ledger_at(times, told_changes).energy) EXPECT_EQ(ledger.gaps, 2U);
}

TEST(Pace, TheEnergyOfACounterIsLastMinusFirstWhateverThePace) {
  const auto ledger = ledger_at(slowed_at_100_and_back_at_500(), told_changes);
  EXPECT_DOUBLE_EQ(ledger.energy[1].recorded.value, 9);
}

TEST(IntervalChange, WhatIsToldIsReadBack) {
  const Event event = interval_change_event({7}, "fast", milliseconds(10), {20'500'000}, "Prony used 1: 2 of 3");
  EXPECT_EQ(event.kind, "interval-changed");
  EXPECT_EQ(event.text, "from 10ms to 20500000ns: Prony used 1: 2 of 3");
  const auto change = interval_change_from(event);
  ASSERT_TRUE(change);
  EXPECT_EQ(change->at.ns, 7);
  EXPECT_EQ(change->interval.ns, 20'500'000);
  for (const char* text : {"", "from 10ms", "from 10ms to ", "from 10ms to 20ms", "from 10ms to x: y", ": to 3ms",
                           "from 10ms to 0ms: y", "from 1ms to 99999999999999999999h: y"})
    EXPECT_FALSE(interval_change_from({{7}, "interval-changed", "fast", text})) << text;
  EXPECT_FALSE(interval_change_from({{7}, "note", "fast", event.text}));
}

TEST(IntervalChange, GroupsGetTheirOwnInTimeOrder) {
  std::vector<Group> groups(2);
  groups[0].name = "slow";
  groups[1].name = "fast";
  const std::vector<Event> events{interval_change_event({9}, "fast", {2'000'000}, {1'000'000}, "b"),
                                  interval_change_event({5}, "fast", {1'000'000}, {2'000'000}, "a"),
                                  interval_change_event({6}, "gone", {1'000'000}, {2'000'000}, "a")};
  add_interval_changes(events, groups);
  EXPECT_TRUE(groups[0].changes.empty());
  ASSERT_EQ(groups[1].changes.size(), 2U);
  EXPECT_EQ(groups[1].changes[0].interval.ns, 2'000'000);
  EXPECT_EQ(groups[1].changes[1].at.ns, 9);
}

}  // namespace
}  // namespace prony
