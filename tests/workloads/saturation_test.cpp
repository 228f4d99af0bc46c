#include "workloads/saturation.hpp"

#include <gtest/gtest.h>

#include "workloads/draw.hpp"

namespace prony {
namespace {

TEST(Saturation, AQueueThatGrowsWithItsWaitIsTold) {
  Saturation saturation;
  Draw draw(3);
  for (int i = 0; i < 200; ++i)
    saturation.add(i * 0.1, 2 + i * 0.5 + draw.normal(), 0.2 + i * 0.05 + 0.1 * draw.normal());
  EXPECT_TRUE(saturation.over());
}

TEST(Saturation, OneOfTheTwoIsNotEnough) {
  Saturation queue, wait;
  Draw draw(3);
  for (int i = 0; i < 200; ++i) {
    queue.add(i * 0.1, 2 + i * 0.5, 0.2 + 0.02 * draw.normal());  // longer answers, not longer waits
    wait.add(i * 0.1, 4 + draw.normal(), 0.2 + i * 0.05);
  }
  EXPECT_FALSE(queue.over());
  EXPECT_FALSE(wait.over());
}

// Kills: a test of significance alone, which many requests make true of any trifle.
TEST(Saturation, ASignificantTrifleIsNoOverload) {
  Saturation saturation;
  Draw draw(5);
  for (int i = 0; i < 20'000; ++i)
    saturation.add(i * 0.01, 8 + i * 1e-4 + draw.normal(), 0.2 + i * 2e-6 + 0.02 * draw.normal());
  EXPECT_FALSE(saturation.over());
}

TEST(Saturation, SteadyNoiseIsNoneWhateverTheSeed) {
  int wrong = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Saturation saturation;
    Draw draw(seed);
    for (int i = 0; i < 100; ++i) saturation.add(i * 0.1, draw.gamma(4), 0.1 * draw.gamma(2));
    wrong += saturation.over();
  }
  EXPECT_LE(wrong, 2);
}

TEST(Saturation, AFewRequestsTellNothing) {
  Saturation saturation;
  for (int i = 0; i < 29; ++i) saturation.add(i, i * 10, i);
  EXPECT_FALSE(saturation.over());
  for (int i = 29; i < 32; ++i) saturation.add(i, i * 10, i);
  EXPECT_TRUE(saturation.over());
  Saturation at_once;  // no time passes: there is no slope
  for (int i = 0; i < 100; ++i) at_once.add(0, i, i);
  EXPECT_FALSE(at_once.over());
}

}  // namespace
}  // namespace prony
