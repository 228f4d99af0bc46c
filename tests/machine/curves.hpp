// What tests of power curves are written with: a curve out of its text, and times in nanoseconds.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "machine/power_curve.hpp"

namespace prony {

inline constexpr std::int64_t second = 1'000'000'000, ms = 1'000'000;

inline PowerCurve curve(const std::string& text) {
  auto parsed = PowerCurve::parse(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? *parsed : PowerCurve::constant(Watts(0));
}

}  // namespace prony
