// CPU time by package: parts that add up to the whole at every reading and never step back. Bugs stand in front.
#include "model/package_parts.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

namespace prony {
namespace {

constexpr std::int64_t ms = 1'000'000;
using Ns = std::vector<std::int64_t>;

Ns shown(PackageParts& parts, std::int64_t total_ns) {
  std::vector<Reading> readings(parts.count());
  parts.show(total_ns, readings);
  Ns values;
  for (const Reading& reading : readings) values.push_back(reading.raw);
  return values;
}

void look(PackageParts& parts, const Ns& used, std::int64_t total_ns, std::int64_t pending_ns = 0) {
  parts.place(used);
  parts.finish_look(total_ns, pending_ns);
}

TEST(PackageParts, BeforeAnyLookTheFirstDistributionHolds) {
  PackageParts parts({48, 16});
  EXPECT_EQ(shown(parts, 0), (Ns{0, 0}));
  EXPECT_EQ(shown(parts, 100 * ms), (Ns{75 * ms, 25 * ms}));
}

// Kills: shares of the whole Run instead of what was used since the last look.
TEST(PackageParts, WhatIsUsedBetweenTwoLooksGoesWhereTheLastLookSawIt) {
  PackageParts parts({1, 1});
  look(parts, {100 * ms, 0}, 100 * ms);
  EXPECT_EQ(shown(parts, 100 * ms), (Ns{100 * ms, 0}));
  EXPECT_EQ(shown(parts, 130 * ms), (Ns{130 * ms, 0}));
}

// A thread moved to package 1 at 100 ms; ticks until the look at 200 ms took it for one of package 0.
// Kills: a counter that steps back when the look corrects it; a correction that is never made good.
TEST(PackageParts, AMoveIsMadeGoodWithoutAStepBack) {
  PackageParts parts({1, 1});
  look(parts, {100 * ms, 0}, 100 * ms);
  EXPECT_EQ(shown(parts, 200 * ms), (Ns{200 * ms, 0}));
  look(parts, {0, 100 * ms}, 200 * ms);
  EXPECT_EQ(shown(parts, 200 * ms), (Ns{200 * ms, 0}));
  EXPECT_EQ(shown(parts, 250 * ms), (Ns{200 * ms, 50 * ms}));
  look(parts, {0, 100 * ms}, 300 * ms);
  EXPECT_EQ(shown(parts, 300 * ms), (Ns{200 * ms, 100 * ms}));
  look(parts, {0, 100 * ms}, 400 * ms);
  EXPECT_EQ(shown(parts, 400 * ms), (Ns{200 * ms, 200 * ms}));
  look(parts, {0, 100 * ms}, 500 * ms);
  // 100 ms of the first package are the truth and 100 ms too many were shown before: the rest is the second's.
  EXPECT_EQ(shown(parts, 500 * ms), (Ns{200 * ms, 300 * ms}));
}

// Kills: what nobody saw lost from the parts, or moved anew by each later distribution.
TEST(PackageParts, WhatNobodySawStaysWhereTheDistributionOfItsTimePutIt) {
  PackageParts parts({1, 1});
  for (int i = 1; i <= 8; ++i) look(parts, {50 * ms, 0}, i * 100 * ms);  // half of it is of somebody unseen
  EXPECT_EQ(shown(parts, 800 * ms), (Ns{800 * ms, 0}));
  for (int i = 1; i <= 8; ++i) look(parts, {0, 100 * ms}, 800 * ms + i * 100 * ms);
  const Ns end = shown(parts, 1600 * ms);
  EXPECT_EQ(end[0] + end[1], 1600 * ms);
  EXPECT_GE(end[0], 800 * ms);
  EXPECT_LE(end[0], 800 * ms);
}

// Kills: time of somebody who was born since the look taken for nobody's, and placed a second time by the next look.
TEST(PackageParts, WhoIsPlacedOneLookLateIsPlacedOnce) {
  PackageParts parts({1, 1});
  look(parts, {100 * ms, 0}, 100 * ms);
  look(parts, {100 * ms, 0}, 300 * ms);         // a newcomer used 100 ms on package 1, not asked yet
  look(parts, {100 * ms, 200 * ms}, 500 * ms);  // now he is
  look(parts, {100 * ms, 100 * ms}, 700 * ms);
  look(parts, {100 * ms, 100 * ms}, 900 * ms);
  look(parts, {100 * ms, 100 * ms}, 1100 * ms);
  EXPECT_EQ(shown(parts, 1100 * ms), (Ns{600 * ms, 500 * ms}));
}

TEST(PackageParts, WhateverHappensThePartsAddUpAndNeverStepBack) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    const std::size_t count = 2 + seed % 3;
    PackageParts parts(std::vector<double>(count, 1.0));
    std::int64_t total = 0;
    Ns before(count, 0);
    for (int step = 0; step < 100; ++step) {
      total += static_cast<std::int64_t>(random() % 50'000'000);
      if (random() % 3 == 0) {
        Ns used(count);
        for (auto& part : used) part = static_cast<std::int64_t>(random() % 60'000'000);
        look(parts, used, total, static_cast<std::int64_t>(random() % 20'000'000));
      }
      const Ns now = shown(parts, total);
      ASSERT_EQ(std::accumulate(now.begin(), now.end(), std::int64_t{0}), total) << "seed " << seed;
      for (std::size_t i = 0; i < count; ++i) ASSERT_GE(now[i], before[i]) << "seed " << seed;
      before = now;
    }
  }
}

}  // namespace
}  // namespace prony
