#include <gtest/gtest.h>

#include "model/counter.hpp"

namespace prony {
namespace {

// powercap on an AMD socket: 65 536 J in µJ, at most 500 W.
constexpr CounterRules rules{65'536'000'000, 1e-6, 500, 1};

TEST(Counter, TheFirstReadingIsNoStep) {
  EXPECT_EQ(advance(rules, std::nullopt, 5, 1).step, CounterStep::first);
  EXPECT_EQ(advance(rules, std::nullopt, 5, 1).counts, 0u);
}

TEST(Counter, AStepForwardIsTheDifference) {
  const auto step = advance(rules, 1'000'000, 1'250'000, 0.001);
  EXPECT_EQ(step.step, CounterStep::forward);
  EXPECT_EQ(step.counts, 250'000u);
  EXPECT_EQ(step.hidden_wraps, 0u);
}

TEST(Counter, AStepForwardFasterThanIsBelievableIsNotBelieved) {
  EXPECT_EQ(advance(rules, 1'000'000, 40'000'000'000, 0.01).step, CounterStep::reset);
}

TEST(Counter, AWrapIsWhatIsLeftToTheRangePlusTheNewReading) {
  const auto step = advance(rules, 65'535'999'000, 500, 0.01);
  EXPECT_EQ(step.step, CounterStep::wrapped);
  EXPECT_EQ(step.counts, 1500u);
}

TEST(Counter, AResetIsNeverReadAsAWrap) {
  EXPECT_EQ(advance(rules, 30'000'000'000, 0, 0.01).step, CounterStep::reset);  // would be 35 kJ in 10 ms
  EXPECT_EQ(advance(rules, 30'000'000'000, 0, 0.01).counts, 0u);
}

TEST(Counter, WithoutARangeNoDecreaseIsAWrap) {
  EXPECT_EQ(advance({0, 1e-3, 0, 1}, 100, 99, 10).step, CounterStep::reset);
}

TEST(Counter, WithoutALargestRateAWrapOfHalfARangeOrMoreIsNotBelieved) {
  const CounterRules unknown{1000, 1, 0, 1};
  EXPECT_EQ(advance(unknown, 900, 100, 1).step, CounterStep::wrapped);
  EXPECT_EQ(advance(unknown, 900, 100, 1).counts, 200u);
  EXPECT_EQ(advance(unknown, 500, 100, 1).step, CounterStep::reset);
}

TEST(Counter, AReadingOutsideTheRangeIsRubbish) {
  EXPECT_EQ(advance(rules, 5, 65'536'000'000, 1e9).step, CounterStep::reset);
  EXPECT_EQ(advance(rules, 1ULL << 63, 5, 1e9).step, CounterStep::reset);
}

TEST(Counter, APauseLongEnoughForMoreWrapsIsAmbiguousAndSaysHowManyThereCouldBe) {
  // 500 W fill 65 536 J in 131 s: in 400 s there can be three ranges; 1 J was seen.
  const auto step = advance(rules, 0, 1'000'000, 400);
  EXPECT_EQ(step.step, CounterStep::forward);
  EXPECT_EQ(step.hidden_wraps, 3u);
}

TEST(Counter, CountsOfAFullSixtyFourBitCounterStayExact) {
  const std::uint64_t big = (1ULL << 63) + 12345;
  EXPECT_EQ(advance({0, 1e-9, 0, 1}, big, big + 3, 1).counts, 3u);
}

}  // namespace
}  // namespace prony
