#include "attribute/held_value.hpp"

#include <gtest/gtest.h>

namespace prony::attribution {
namespace {

constexpr std::int64_t ms = 1'000'000;

// A reading every 10 ms, a new value with every `update_ms`, of around 8 W in steps of `step`; held from 2 s on.
std::int64_t held_of(int seconds, std::int64_t update_ms, std::int64_t held_ms, double step) {
  HeldValue value;
  for (std::int64_t at = 0; at < seconds * 1000; at += 10) {
    const std::int64_t seen = at >= 2000 && at < 2000 + held_ms ? 2000 : at;
    value.add(at * ms, 8 + step * static_cast<double>(seen / update_ms * 7919 % 23));
  }
  return value.held_ns(step) / ms;
}

TEST(HeldValues, AStandstillThatDoesNotFitToItselfIsTold) {
  EXPECT_NEAR(static_cast<double>(held_of(5, 20, 1000, 0.01)), 1000, 20);
  EXPECT_NEAR(static_cast<double>(held_of(5, 20, 3000, 0.01)), 2990, 20);  // to the end
}

TEST(HeldValues, WhatOneMayDoByItselfIsNot) {
  EXPECT_EQ(held_of(5, 20, 0, 0.01), 0);
  EXPECT_EQ(held_of(5, 20, 200, 0.01), 0);      // short
  EXPECT_EQ(held_of(60, 1000, 3000, 0.01), 0);  // a plug, new once a second: three of them are nothing
  EXPECT_EQ(held_of(5, 20, 1000, 0.5), 0);      // steps of 6 %: power that rests stays within one
  HeldValue flat;
  for (std::int64_t at = 0; at < 60'000; at += 10) flat.add(at * ms, 8);
  EXPECT_EQ(flat.held_ns(0.001), 0) << "one that never moves may be a constant";
}

TEST(HeldValues, WhereNobodyLookedItMayHaveMoved) {
  HeldValue value;
  for (std::int64_t at = 0; at < 2000; at += 10) value.add(at * ms, 8 + 0.01 * static_cast<double>(at / 10 % 7));
  value.add(2000 * ms, 9);
  value.interrupt();
  value.add(5000 * ms, 9);
  EXPECT_EQ(value.held_ns(0.01), 0);
}

}  // namespace
}  // namespace prony::attribution
