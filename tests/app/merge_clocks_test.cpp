// Two hosts' clocks laid together, of Runs in memory. Bugs in mind: the wrong sign, wall clocks trusted without being
// asked to, a doubt that does not hold, requests of other clients taken for the client's.
#include "app/merge_clocks.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "../reports/fake_run.hpp"

namespace prony::app {
namespace {

using testing::FakeRun;
using testing::span;

constexpr double server_zero_s = 1000, client_zero_s = 50;  // what the monotonic clocks show at the same moment
constexpr Duration truth{950'000'000'000};                  // server = client + this

struct Hosts {
  FakeRun server, client;
};

// Twelve requests at irregular times; the client's wall clock is `wall_off_s` ahead.
Hosts hosts(std::uint32_t seed, double wall_off_s) {
  Hosts made;
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> gap(0.2, 2.5), length(0.3, 3.0), noise(0, 1);
  made.server.anchor_list = {{Instant{std::llround(server_zero_s * 1e9)}, 1'700'000'000'000'000'000, milliseconds(0)}};
  made.client.anchor_list = {{Instant{std::llround(client_zero_s * 1e9)},
                              1'700'000'000'000'000'000 + std::llround(wall_off_s * 1e9), milliseconds(0)}};
  std::vector<std::pair<double, double>> busy;
  double at = 5;
  for (std::uint64_t i = 0; i < 12; ++i) {
    at += gap(random);
    const double end = at + length(random);
    made.client.span_list.push_back(span(10 + i, 0, SpanKind::request, "r", client_zero_s + at, client_zero_s + end));
    busy.emplace_back(at + 0.004, end - 0.003);  // the network's way
    at = end;
  }
  made.server.channel_list = {
      testing::channel(0, "rapl.package-0.energy", "package-0", Measure::energy, ChannelKind::counter)};
  made.server.channel_list[0].scale = 1e-6;
  made.server.group_list = {{GroupId{0}, "fast", milliseconds(50), {{0}}, {}}};
  const auto ticks = static_cast<std::size_t>((at + 10) / 0.05);
  TickBlock block(GroupId{0}, 1, ticks);
  double joules = 0;
  for (std::size_t i = 0; i < ticks; ++i) {
    const double t = 0.05 * static_cast<double>(i);
    const Instant when{std::llround((server_zero_s + t) * 1e9)};
    block.push(when, when, std::vector<Reading>{{std::llround(joules * 1e6), Quality::ok}});
    for (int part = 0; part < 50; ++part) {
      const double now = t + 0.001 * part;
      double watts = 10 + 2 * noise(random);
      for (const auto& [from, to] : busy)
        if (from <= now && now < to) watts += 25;
      joules += 0.001 * watts;
    }
  }
  made.server.blocks.push_back(std::move(block));
  return made;
}

TEST(MergeClocks, ByTheShapeOfTheLoadAKnownOffsetIsFoundWithinItsDoubt) {
  std::size_t inside = 0;
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    const Hosts made = hosts(seed, 7.5);
    const auto clocks = lay_clocks(made.server, made.client, {}, "");
    ASSERT_TRUE(clocks) << seed << ": " << clocks.error().what;
    EXPECT_EQ(clocks->kind, "interval(0.95)");
    EXPECT_LE(clocks->doubt.ns, 200'000'000);
    inside += std::abs((clocks->offset - truth).ns) <= clocks->doubt.ns ? 1 : 0;
  }
  EXPECT_GE(inside, 18U);  // 95 % of them, and no worse by chance
}

TEST(MergeClocks, ByRequestsThatBothSawTheBoundHoldsAndTheProxysOwnAreNamed) {
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    Hosts made = hosts(seed, -3);
    for (std::uint64_t i = 0; i < 12; ++i) {
      Span seen = made.client.span_list[i];
      seen.id = SpanId{100 + i};
      seen.interval = {seen.interval.begin + truth + milliseconds(1 + static_cast<std::int64_t>(i % 3)),
                       seen.interval.end + truth - milliseconds(1)};
      made.server.span_list.push_back(seen);
    }
    Span other = made.server.span_list.front();
    other.id = SpanId{500};
    other.interval = {other.interval.begin - milliseconds(1'500), other.interval.begin - milliseconds(900)};
    made.server.span_list.push_back(other);
    const auto clocks = lay_clocks(made.server, made.client, {}, "");
    ASSERT_TRUE(clocks) << seed << ": " << clocks.error().what;
    EXPECT_EQ(clocks->kind, "bound");
    EXPECT_LE(std::abs((clocks->offset - truth).ns), clocks->doubt.ns);
    EXPECT_LE(clocks->doubt.ns, 1'000'001);
    EXPECT_EQ(clocks->same_requests.size(), 12U);
    EXPECT_EQ(std::ranges::count(clocks->same_requests, SpanId{500}), 0);
  }
}

TEST(MergeClocks, ANamedOffsetIsOfTheWallClocksAndItsDoubtIsTaken) {
  const Hosts made = hosts(1, 0.25);
  const auto clocks = lay_clocks(made.server, made.client, {"-250ms", "2ms", "60s"}, "");
  ASSERT_TRUE(clocks) << clocks.error().what;
  EXPECT_EQ(clocks->offset, truth);  // the client's wall clock is ahead by what is taken away
  EXPECT_EQ(clocks->doubt, milliseconds(2));
  EXPECT_FALSE(lay_clocks(made.server, made.client, {"-250ms", "", "60s"}, ""));
  EXPECT_FALSE(lay_clocks(made.server, made.client, {"", "2ms", "60s"}, ""));
  EXPECT_FALSE(lay_clocks(made.server, made.client, {"soon", "2ms", "60s"}, ""));
}

TEST(MergeClocks, ALoadThatRepeatsItselfIsRefusedWithWhatHelps) {
  Hosts made = hosts(1, 0);
  made.server.blocks.clear();
  TickBlock block(GroupId{0}, 1, 600);
  for (int i = 0; i < 600; ++i)
    block.push(Instant{1'000'000'000'000 + i * 50'000'000LL}, Instant{1'000'000'000'000 + i * 50'000'000LL},
               std::vector<Reading>{{std::llround(i * 1e6 + (i % 20 < 10 ? 3e5 : 0)), Quality::ok}});
  made.server.blocks.push_back(std::move(block));
  const auto clocks = lay_clocks(made.server, made.client, {}, "");
  ASSERT_FALSE(clocks);
  EXPECT_NE(clocks.error().fix.find("--offset"), std::string::npos);
}

}  // namespace
}  // namespace prony::app
