#include "process/look_pace.hpp"

#include <gtest/gtest.h>

namespace prony {
namespace {

constexpr Instant at_s(double s) { return {static_cast<std::int64_t>(s * 1e9)}; }
constexpr Duration period = milliseconds(100);

TEST(LookPace, ComesEveryPeriodWhereNothingIsSpared) {
  const LookPace pace(period, std::nullopt);
  EXPECT_EQ(pace.next(at_s(5), milliseconds(90), at_s(4.99)), at_s(5.1));
  EXPECT_EQ(pace.pump(), milliseconds(100));
}

// The bug: a look right after each tick, whose births the tick misses for nearly a whole interval.
TEST(LookPace, TheLastLookBeforeATickEndsJustBeforeIt) {
  const LookPace pace(period, milliseconds(1'000));
  Instant look = at_s(10.4);
  const Duration cost = milliseconds(2);
  for (int tick = 11; tick < 20; ++tick) {
    look = pace.next(look, cost, at_s(tick - 1));
    EXPECT_LT(look + cost, at_s(tick));
    EXPECT_GE(look, at_s(tick - 0.03));
  }
}

// The bug: a period of one look a tick whatever it costs, so that a machine with few processes is seen no better.
TEST(LookPace, WhatCostsLittleIsDoneMoreOftenAndNeverMoreThanATenthOfASecond) {
  const auto in_a_tick = [&](Duration cost, std::int64_t factor = LookPace::for_months) {
    const LookPace pace(period, milliseconds(1'000), factor);
    int looks = 0;
    for (Instant look = at_s(9.99); look < at_s(19.99); look = pace.next(look, cost, at_s(9))) ++looks;
    return looks / 10;
  };
  EXPECT_EQ(in_a_tick(Duration{10'000}), 10);
  EXPECT_EQ(in_a_tick(Duration{250'000}), 4);
  EXPECT_EQ(in_a_tick(milliseconds(1)), 1);
  EXPECT_EQ(in_a_tick(milliseconds(50)), 1);
  EXPECT_EQ(in_a_tick(Duration{250'000}, LookPace::for_a_run), 10);
  EXPECT_EQ(in_a_tick(milliseconds(1), LookPace::for_a_run), 3);
  EXPECT_EQ(in_a_tick(milliseconds(3), LookPace::for_a_run), 1);
}

TEST(LookPace, LooksAreNeverMoreThanASecondApartHoweverRareTicksAre) {
  const LookPace pace(period, milliseconds(60'000));
  Instant look = at_s(100);
  for (int i = 0; i < 200; ++i) {
    const Instant next = pace.next(look, milliseconds(500), at_s(99));
    EXPECT_GT(next, look);
    EXPECT_LE(next - look, milliseconds(1'100));
    look = next;
  }
}

// The bug: a lead that is longer than the time between two looks would make the next one lie in the past, for ever.
TEST(LookPace, GoesOnWhereALookTakesLongerThanATick) {
  const LookPace pace(period, milliseconds(200));
  Instant look = at_s(1);
  for (int i = 0; i < 50; ++i) {
    const Instant next = pace.next(look, milliseconds(400), at_s(0.9));
    EXPECT_GT(next, look);
    EXPECT_LE(next - look, milliseconds(1'000));
    look = next;
  }
}

// The bug: a look that is called a millisecond before its time counts as another one, and the next follows it at once.
TEST(LookPace, ALookThatComesALittleEarlyIsNotRepeated) {
  const LookPace pace(period, milliseconds(1'000));
  EXPECT_EQ(pace.next(at_s(10.979), milliseconds(1), at_s(10)), at_s(11.98));
  EXPECT_EQ(pace.next(at_s(10.980), milliseconds(1), at_s(10)), at_s(11.98));
}

TEST(LookPace, ComesAsOftenAsTicksWhereThoseAreMoreOftenThanLooks) {
  const LookPace pace(period, milliseconds(10));
  EXPECT_EQ(pace.next(at_s(2), Duration{1'000}, at_s(1.999)), at_s(2.1));
}

}  // namespace
}  // namespace prony
