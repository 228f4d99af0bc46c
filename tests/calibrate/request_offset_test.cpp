// The offset of two clocks from requests that both hosts saw.
#include "calibrate/request_offset.hpp"

#include <gtest/gtest.h>

#include <random>

namespace prony::calibrate {
namespace {

constexpr std::int64_t ms_ns = 1'000'000;

struct Pair {
  std::vector<SeenRequest> server, client;
};

// `count` requests, some at the same time, seen at both ends of a network that takes 0.1 to 3 ms each way; the client's
// clock shows `offset` less.
Pair requests(std::size_t count, Duration offset, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<std::int64_t> gap(1, 400), length(20, 900), way(100'000, 3'000'000), tokens(1, 60);
  Pair pair;
  Instant at{5'000'000'000};
  for (std::size_t i = 0; i < count; ++i) {
    at = at + Duration{gap(random) * ms_ns};
    const Interval server{at, at + Duration{length(random) * ms_ns}};
    const std::int64_t output = tokens(random);
    pair.server.push_back({server, output});
    pair.client.push_back(
        {{server.begin - offset - Duration{way(random)}, server.end - offset + Duration{way(random)}}, output});
  }
  return pair;
}

// Kills: the offset's sign; the middle of only one side; a doubt that does not cover the truth.
TEST(RequestOffset, AKnownOffsetIsFoundWithinItsStatedDoubt) {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    const Duration truth{(static_cast<std::int64_t>(seed) - 100) * 137 * ms_ns + 12'345};
    const Pair pair = requests(5 + seed % 40, truth, seed);
    const auto told = offset_of_requests(pair.server, pair.client, {truth + milliseconds(700), milliseconds(5'000)});
    ASSERT_TRUE(told) << seed << ": " << told.error().what;
    EXPECT_LE(std::abs((told->offset - truth).ns), told->doubt.ns) << seed;
    EXPECT_LE(told->doubt.ns, 3 * ms_ns) << seed;  // the network's two ways at most
    EXPECT_EQ(told->matched, pair.client.size()) << seed;
  }
}

TEST(RequestOffset, MoreRequestsNeverMakeTheBoundWider) {
  const Pair all = requests(60, milliseconds(250), 7);
  std::int64_t before = std::numeric_limits<std::int64_t>::max();
  for (std::size_t count : {3U, 10U, 30U, 60U}) {
    const Pair some{{all.server.begin(), all.server.begin() + static_cast<std::ptrdiff_t>(count)},
                    {all.client.begin(), all.client.begin() + static_cast<std::ptrdiff_t>(count)}};
    const auto told = offset_of_requests(some.server, some.client, {milliseconds(200), milliseconds(1'000)});
    ASSERT_TRUE(told) << told.error().what;
    EXPECT_LE(told->doubt.ns, before);
    before = told->doubt.ns;
  }
}

TEST(RequestOffset, OtherClientsRequestsAtTheServerChangeNothing) {
  Pair pair = requests(30, milliseconds(-40), 3);
  const Pair others = requests(30, milliseconds(-40), 4);
  pair.server.insert(pair.server.end(), others.server.begin(), others.server.end());
  const auto told = offset_of_requests(pair.server, pair.client, {Duration{0}, milliseconds(2'000)});
  ASSERT_TRUE(told) << told.error().what;
  EXPECT_LE(std::abs((told->offset - milliseconds(-40)).ns), told->doubt.ns);
  for (std::size_t i = 0; i < pair.client.size(); ++i) EXPECT_EQ(told->server_of[i], i);
}

TEST(RequestOffset, ARequestThatNeverReachedTheServerIsNoHindranceAndMostOfThemAre) {
  Pair pair = requests(20, milliseconds(9), 5);
  pair.server.erase(pair.server.begin() + 4);
  auto told = offset_of_requests(pair.server, pair.client, {Duration{0}, milliseconds(500)});
  ASSERT_TRUE(told) << told.error().what;
  EXPECT_FALSE(told->server_of[4].has_value());
  pair.server.resize(8);
  told = offset_of_requests(pair.server, pair.client, {Duration{0}, milliseconds(500)});
  ASSERT_FALSE(told);
  EXPECT_NE(told.error().what.find("no offset"), std::string::npos);
}

// A client that saw much longer requests than the server cannot tell: the bound is wide, and that is said.
TEST(RequestOffset, WhatFitsAtManyOffsetsIsRefused) {
  const std::vector<SeenRequest> server = {{{Instant{5'000'000'000}, Instant{5'100'000'000}}, {}}};
  const std::vector<SeenRequest> client = {{{Instant{0}, Instant{10'000'000'000}}, {}}};
  const auto told = offset_of_requests(server, client, {});
  ASSERT_FALSE(told);
  EXPECT_NE(told.error().what.find("apart"), std::string::npos);
  EXPECT_FALSE(offset_of_requests({}, client, {}));
}

}  // namespace
}  // namespace prony::calibrate
