// The offset of two clocks of which one runs faster, from requests that both hosts saw.
#include "calibrate/clock_line.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace prony::calibrate {
namespace {

struct DriftingPair {
  std::vector<SeenRequest> server, client;
};

// A network of 0.1 to 3 ms each way. The server's clock shows what the client's does, and `offset`, and `drift` of all
// that went by since 0.
DriftingPair drifting_requests(std::size_t count, Duration offset, double drift, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<std::int64_t> gap(1, 4000), length(20, 900), way(100'000, 3'000'000), tokens(1, 60);
  const auto server_time = [&](Instant at) {
    return at + offset + Duration{std::llround(drift * static_cast<double>(at.ns))};
  };
  DriftingPair pair;
  Instant at{5'000'000'000};
  for (std::size_t i = 0; i < count; ++i) {
    at = at + milliseconds(gap(random));
    const Instant end = at + milliseconds(length(random));
    const std::int64_t output = tokens(random);
    pair.client.push_back({{at, end}, output});
    pair.server.push_back(
        {{server_time(at + Duration{way(random)}), server_time(Instant{end.ns - way(random)})}, output});
  }
  return pair;
}

// Kills: the drift's sign; a line through the two measured offsets alone, whose doubt the truth leaves.
TEST(ClockLine, AKnownDriftIsFoundWithinItsStatedDoubtEverywhereOnTheWay) {
  for (std::uint32_t seed = 0; seed < 60; ++seed) {
    const Duration truth{(static_cast<std::int64_t>(seed) - 30) * 137'000'000 + 12'345};
    const double drift = (static_cast<double>(seed % 7) - 3) * 70e-6;
    const DriftingPair pair = drifting_requests(20 + seed * 3, truth, drift, seed);
    const auto told =
        clock_line_of_requests(pair.server, pair.client, {truth + milliseconds(300), milliseconds(2'000)});
    ASSERT_TRUE(told) << seed << ": " << told.error().what;
    for (const double part : {0.0, 0.3, 0.7, 1.0}) {
      const Instant at = told->begin + Duration{std::llround(part * static_cast<double>((told->end - told->begin).ns))};
      const double expected = static_cast<double>(truth.ns) + drift * static_cast<double>(at.ns);
      EXPECT_LE(std::abs(static_cast<double>(told->at(at).ns) - expected), static_cast<double>(told->doubt.ns) + 1)
          << seed << " at " << part;
    }
    EXPECT_LE(told->doubt.ns, milliseconds(6).ns) << seed;
    EXPECT_GE(told->matched, pair.client.size() * 9 / 10) << seed;
  }
}

// 100 ppm of some five minutes are ten times what the network takes: no one offset fits.
TEST(ClockLine, FitsWhereNoOffsetDoes) {
  const DriftingPair pair = drifting_requests(150, milliseconds(20), 1e-4, 3);
  const auto one = offset_of_requests(pair.server, pair.client, {milliseconds(20), milliseconds(500)});
  ASSERT_FALSE(one);
  EXPECT_NE(one.error().what.find("no offset of the clocks fits"), std::string::npos) << one.error().what;
  const auto told = clock_line_of_requests(pair.server, pair.client, {milliseconds(20), milliseconds(500)});
  ASSERT_TRUE(told) << told.error().what;
  EXPECT_NEAR(told->drift(), 1e-4, 2e-5);
}

TEST(ClockLine, TooFewRequestsAndAClockThatWasSetAreRefusedWithWords) {
  DriftingPair pair = drifting_requests(5, milliseconds(20), 0, 4);
  auto told = clock_line_of_requests(pair.server, pair.client, {Duration{0}, milliseconds(500)});
  ASSERT_FALSE(told);
  EXPECT_NE(told.error().what.find("too few"), std::string::npos);
  pair = drifting_requests(60, milliseconds(20), 0, 4);
  for (std::size_t i = 30; i < 60; ++i)
    pair.server[i].interval = {pair.server[i].interval.begin + milliseconds(80),
                               pair.server[i].interval.end + milliseconds(80)};
  told = clock_line_of_requests(pair.server, pair.client, {Duration{0}, milliseconds(500)});
  ASSERT_FALSE(told);
  EXPECT_FALSE(told.error().what.empty());
}

}  // namespace
}  // namespace prony::calibrate
