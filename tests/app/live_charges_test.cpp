// Joules of requests while the recording goes on. Bugs in mind: a request charged before its last tick came, two that
// overlap both charged for everything, one on its way that pays nothing, ticks kept for ever, ticks thrown away too
// soon.
#include "app/live_charges.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace prony::app {
namespace {

constexpr std::int64_t tick_ns = 50'000'000;
constexpr Instant start{1'000'000'000'000};

Channel live_channel(std::uint32_t id, const char* name, const char* domain, Measure measure, Scope scope) {
  Channel made;
  made.id = ChannelId{id};
  made.name = name;
  made.sensor = id == 0 ? "rapl" : "cpu";
  made.domain = domain;
  made.measure = measure;
  made.kind = ChannelKind::counter;
  made.scale = 1e-6;
  made.scope = scope;
  if (scope == Scope::target) made.target = "server";
  return made;
}

LivePlan live_plan() {
  LivePlan made;
  made.channels = {live_channel(0, "rapl.package-0.energy", "package-0", Measure::energy, Scope::host),
                   live_channel(1, "cpu.busy", "cpu", Measure::cpu_time, Scope::host),
                   live_channel(2, "target.server.cpu", "cpu", Measure::cpu_time, Scope::target)};
  made.groups = {Group{GroupId{0}, "fast", Duration{tick_ns}, {{0}, {1}, {2}}}};
  made.targets = {"server"};
  made.requests_target = "server";
  return made;
}

// 20 W, half of the CPU's time the server's.
TickBlock tick(std::int64_t number) {
  TickBlock block(GroupId{0}, 3, 1);
  const Instant at = start + Duration{number * tick_ns};
  const double seconds = static_cast<double>(number * tick_ns) * 1e-9;
  const auto raw = [](double value) { return Reading{std::llround(value * 1e6), Quality::ok}; };
  block.push(at, at, std::vector<Reading>{raw(20 * seconds), raw(seconds), raw(0.5 * seconds)});
  return block;
}

Span request(std::uint64_t id, double from_s, double to_s) {
  Span span;
  span.id = SpanId{id};
  span.kind = SpanKind::request;
  span.interval = {start + Duration{std::llround(from_s * 1e9)}, start + Duration{std::llround(to_s * 1e9)}};
  return span;
}
Instant at(double seconds) { return start + Duration{std::llround(seconds * 1e9)}; }

void feed(LiveCharges& charges, double from_s, double to_s) {
  for (auto number = std::llround(from_s * 20); number < std::llround(to_s * 20); ++number) charges.see(tick(number));
}

TEST(LiveCharges, ARequestIsChargedWhenTwoTicksLieBehindItAndNotBefore) {
  LiveCharges charges(live_plan());
  feed(charges, 0, 5);
  charges.began(request(1, 4, 4));
  charges.ended(request(1, 4, 6));
  feed(charges, 5, 6);
  EXPECT_TRUE(charges.settle(at(6), false).empty());
  feed(charges, 6, 6.2);
  const auto told = charges.settle(at(6.2), false);
  ASSERT_EQ(told.size(), 1U);
  ASSERT_TRUE(told[0].charged) << told[0].absent;
  EXPECT_NEAR(told[0].charged->value, 20, 0.5);  // 2 s of the server's 10 W
  EXPECT_NEAR(told[0].gross->value, 40, 0.5);
  EXPECT_LE(told[0].charged->low, told[0].charged->value);
  EXPECT_GE(told[0].charged->high, told[0].charged->value);
  EXPECT_EQ(told[0].origin, Origin::measured);
  EXPECT_EQ(told[0].channels, std::vector<std::string>{"rapl.package-0.energy"});
  EXPECT_TRUE(charges.settle(at(9), true).empty());  // once
}

// The one that still goes on has its part too: all of them together are the server's joules and no more.
TEST(LiveCharges, RequestsThatOverlapShareAlsoWithOneThatIsStillOnItsWay) {
  LiveCharges charges(live_plan());
  charges.began(request(1, 1, 1));
  charges.began(request(2, 2, 2));
  feed(charges, 0, 6);
  charges.ended(request(2, 2, 4));
  auto told = charges.settle(at(6), false);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NEAR(told[0].charged->value, 10, 0.5);
  charges.ended(request(1, 1, 6));
  feed(charges, 6, 7);
  told = charges.settle(at(7), false);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].span.value, 1U);
  EXPECT_NEAR(told[0].charged->value, 40, 0.5);  // 1 s + 2 s alone at 10 W, 2 s at 5 W
}

TEST(LiveCharges, OneThatWasNoneOfThisMachinesTakesNothingFromTheOthers) {
  LiveCharges charges(live_plan());
  charges.began(request(1, 1, 1));
  charges.began(request(2, 1, 1));
  feed(charges, 0, 5);
  charges.forget(SpanId{2});
  charges.ended(request(1, 1, 4));
  const auto told = charges.settle(at(5), false);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NEAR(told[0].charged->value, 30, 0.5);
}

TEST(LiveCharges, TheLastOnesAreToldAtTheEndWithoutWaiting) {
  LiveCharges charges(live_plan());
  feed(charges, 0, 3);
  charges.ended(request(1, 1, 2));
  charges.ended(request(2, 1, 30));  // it ended after the last tick
  const auto told = charges.settle(at(3), true);
  ASSERT_EQ(told.size(), 2U);
  EXPECT_TRUE(told[0].charged);
  EXPECT_FALSE(told[1].charged);
  EXPECT_FALSE(told[1].absent.empty());
}

// A year of ticks takes no more memory than a minute, and a request longer than what is held has a reason.
TEST(LiveCharges, OldTicksGoAndARequestThatIsLongerThanWhatIsHeldHasNoJoulesHere) {
  LiveCharges charges(live_plan());
  charges.began(request(1, 1, 1));
  const auto ticks = static_cast<double>(LiveCharges::most_bytes) / 60;  // more than fit
  feed(charges, 0, ticks / 20);
  charges.ended(request(1, 1, ticks / 20 - 1));
  const auto told = charges.settle(at(ticks / 20), true);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_FALSE(told[0].charged);
  EXPECT_NE(told[0].absent.find("oldest tick"), std::string::npos);
}

TEST(LiveCharges, WhatARequestHasCostSoFarGoesUpToTheNewestTick) {
  LiveCharges charges(live_plan());
  EXPECT_FALSE(charges.so_far(at(1)).charge.charged);
  feed(charges, 0, 4);
  charges.began(request(7, 2, 2));
  const auto told = charges.so_far(at(2));
  ASSERT_TRUE(told.charge.charged) << told.charge.absent;
  EXPECT_NEAR(told.covered.seconds().value(), 1.95, 0.01);
  EXPECT_NEAR(told.charge.charged->value, 19.5, 0.5);  // not halved: it does not share with itself
}

}  // namespace
}  // namespace prony::app
