#include <gtest/gtest.h>

#include "model/charge.hpp"
#include "model/time.hpp"

namespace prony {
namespace {

TEST(Units, EnergyOverTimeIsPowerAndBack) {
  const Watts power = Joules(10) / Seconds(4);
  EXPECT_DOUBLE_EQ(power.value(), 2.5);
  const Joules energy = power * Seconds(4);
  EXPECT_DOUBLE_EQ(energy.value(), 10);
  const Watts from_rails = Volts(5) * Amperes(2);
  EXPECT_DOUBLE_EQ(from_rails.value(), 10);
  EXPECT_DOUBLE_EQ(Joules(3) / Joules(2), 1.5);
}

TEST(Time, AnIntervalHoldsItsBeginAndNotItsEnd) {
  const Interval interval{Instant{10}, Instant{20}};
  EXPECT_TRUE(interval.contains(Instant{10}));
  EXPECT_FALSE(interval.contains(Instant{20}));
  EXPECT_EQ(interval.overlap({Instant{15}, Instant{40}}).ns, 5);
  EXPECT_EQ(interval.overlap({Instant{20}, Instant{40}}).ns, 0);
  EXPECT_EQ(interval.overlap({Instant{25}, Instant{40}}).ns, 0);
}

TEST(Estimates, ASumPromisesNoMoreThanItsWeakestPart) {
  const Estimate sum = Estimate{1, 0, 2, EstimateKind::bound} + Estimate{3, 2, 5, EstimateKind::range};
  EXPECT_EQ(sum.kind, EstimateKind::range);
  EXPECT_DOUBLE_EQ(sum.low, 2);
  EXPECT_DOUBLE_EQ(sum.high, 7);
  EXPECT_EQ(weaker(EstimateKind::interval_95, EstimateKind::bound), EstimateKind::interval_95);
}

}  // namespace
}  // namespace prony
