#include "machine/power_curve.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "curves.hpp"

namespace prony {
namespace {

Duration seconds(double s) { return {std::llround(s * 1e9)}; }

// Every shape, and each with what could hide a bug: a phase, a duty, an uneven staircase, a sum.
const std::vector<std::string> every_shape = {
    "constant:20",
    "sine:30,20,0.7",
    "sine:30,30,0.31,0.25",
    "square:5,50,0.3",
    "square:40,10,0.25,0.2",
    "steps:0=10,0.1=40,0.25=20,repeat=0.4",
    "steps:0=10,1=40,1.5=5",
    "noise:7,30,15,0.01",
    "constant:5+sine:20,10,0.9+square:0,8,0.13,0.7+noise:3,10,10,0.02",
};

// The plausible bugs: an integral that does not begin at 0, a period counted twice, an edge at the wrong end, noise
// whose blocks do not sum to the mean, a phase that moves power but not energy.
TEST(PowerCurve, TheClosedFormIsTheIntegralOfThePowerForEveryShape) {
  std::mt19937_64 random(20261121);
  for (const auto& text : every_shape) {
    const auto c = curve(text);
    for (int n = 0; n < 40; ++n) {
      const auto from = static_cast<std::int64_t>(random() % (5 * second)) - second;
      const auto length = static_cast<std::int64_t>(random() % second) + 1;
      // Midpoints of slices: exact for flat pieces but at their edges, of second order for sines.
      constexpr int slices = 20'000;
      double sum = 0;
      for (int i = 0; i < slices; ++i) {
        const auto at = from + static_cast<std::int64_t>((i + 0.5) * static_cast<double>(length) / slices);
        sum += c.watts({at}).value() * static_cast<double>(length) * 1e-9 / slices;
      }
      const double slice_j = 60 * static_cast<double>(length) * 1e-9 / slices;
      const double edges = 2 + static_cast<double>(length) / (0.01 * second);  // at most a slice is wrong at each
      EXPECT_NEAR(c.joules({from}, {from + length}).value(), sum, slice_j * edges + 1e-9) << text << " from " << from;
    }
  }
}

TEST(PowerCurve, EnergyBeginsAtZeroAndAWindowIsTheSumOfItsParts) {
  for (const auto& text : every_shape) {
    const auto c = curve(text);
    EXPECT_EQ(c.joules({0}).value().value(), 0) << text;
    const double whole = c.joules(seconds(0.123), seconds(7.9)).value();
    double parts = 0;
    for (int i = 0; i < 7; ++i) parts += c.joules(seconds(0.123 + 1.111 * i), seconds(0.123 + 1.111 * (i + 1))).value();
    EXPECT_NEAR(whole, parts, 1e-11) << text;
  }
}

// The plausible bug: one double for the sum. At 900 W it loses a microjoule within four months, and a time in seconds
// as a double loses nanoseconds even earlier.
TEST(PowerCurve, AMillisecondAfterTenYearsIsKnownToFarLessThanAMicrojoule) {
  const std::int64_t years = 10LL * 365 * 86'400 * second + 123'456'789;
  for (const auto& text : every_shape) {
    const auto c = curve(text);
    double sum = 0;
    constexpr int slices = 1000;
    for (int i = 0; i < slices; ++i) sum += c.watts({years + 1000 * i + 500}).value() * 1e-6;
    EXPECT_NEAR(c.joules({years}, {years + 1000 * slices}).value(), sum, 2e-4 * 1e-3 + 60e-6) << text;
  }
  const auto constant = curve("constant:900.3");
  EXPECT_NEAR(constant.joules({years}, {years + 1'000'000}).value(), 0.9003, 1e-12);
  EXPECT_NEAR(curve("sine:900,300,1").joules({years * 7 / 7}, {years + second}).value(), 900, 1e-9);
  // 2^-16 J quanta, counted one by one over a second of 900.3 W: what was shown before is never taken back.
  auto before = constant.joules({years}).quanta(0x1p-16);
  const auto first = before;
  for (int i = 1; i <= 1000; ++i) {
    const auto now = constant.joules({years + i * 1'000'000LL}).quanta(0x1p-16);
    ASSERT_GE(now, before);
    ASSERT_LE(now - before, 59'003);  // 59 001.7 of them in a millisecond
    before = now;
  }
  EXPECT_NEAR(static_cast<double>(before - first), 900.3 * 65536, 1);
}

TEST(PowerCurve, LeastAndMostHoldEveryPowerBetweenThemAndAreReached) {
  std::mt19937_64 random(4711);
  for (const auto& text : every_shape) {
    const auto c = curve(text);
    const bool sum = text.find('+') != std::string::npos;
    for (int n = 0; n < 200; ++n) {
      const auto from = static_cast<std::int64_t>(random() % (3 * second)) - second;
      const auto length = static_cast<std::int64_t>(random() % (n % 2 == 0 ? second : second / 50));
      const double least = c.least({from}, {from + length}).value(), most = c.most({from}, {from + length}).value();
      double seen_least = 1e9, seen_most = -1e9;
      for (int i = 0; i <= 1000; ++i) {
        const double watts = c.watts({from + length * i / 1000}).value();
        seen_least = std::min(seen_least, watts);
        seen_most = std::max(seen_most, watts);
      }
      EXPECT_LE(least, seen_least + 1e-9) << text;
      EXPECT_GE(most, seen_most - 1e-9) << text;
      if (sum || length < 1000 || !text.starts_with("sine")) continue;
      // Nearly reached by one of the thousand: a bound that is merely wide would not be.
      EXPECT_NEAR(most, seen_most, 0.01) << text << " " << from << "+" << length;
      EXPECT_NEAR(least, seen_least, 0.01) << text << " " << from << "+" << length;
    }
  }
  EXPECT_EQ(curve("square:5,50,0.3").most(seconds(0.16), seconds(0.29)).value(), 5);  // between two high parts
  EXPECT_EQ(curve("square:5,50,0.3").most(seconds(0.16), seconds(0.3)).value(), 50);  // the next one begins
  EXPECT_EQ(curve("steps:0=10,1=40,1.5=5").least(seconds(1.1), seconds(1.4)).value(), 40);
  EXPECT_EQ(curve("sine:30,20,1").most(seconds(0.3), seconds(0.7)).value(),
            curve("sine:30,20,1").watts(seconds(0.3)).value());  // no crest in it: its begin is the most
}

// Thousands of curves nobody chose: energy lies between the least and the most power times the time, at every scale
// from a microsecond to a day, and the parts of a window are the window.
TEST(PowerCurve, EveryRandomCurveKeepsItsEnergyBetweenItsLeastAndItsMostPower) {
  std::mt19937_64 random(31337);
  const auto number = [&](double low, double high) {
    return low + (high - low) * static_cast<double>(random() % 1'000'000) / 1e6;
  };
  const auto word = [](double value) { return std::to_string(value); };
  for (int n = 0; n < 2000; ++n) {
    std::string text = "constant:" + word(number(0, 50));
    for (auto terms = random() % 4; terms > 0; --terms) {
      const double mean = number(1, 300), period_s = std::pow(10, number(-4, 3));
      const std::string period = word(std::max(period_s, 1e-5));
      switch (random() % 4) {
        case 0:
          text += "+sine:" + word(mean) + "," + word(number(0, mean)) + "," + period + "," + word(number(0, 1));
          break;
        case 1:
          text += "+square:" + word(number(0, mean)) + "," + word(mean) + "," + period + "," + word(number(0, 1));
          break;
        case 2:
          text +=
              "+noise:" + std::to_string(random() % 99) + "," + word(mean) + "," + word(number(0, mean)) + "," + period;
          break;
        default:
          text += "+steps:0=" + word(mean) + ",0.3=" + word(number(0, 9)) + ",0.31=7,repeat=" + word(number(0.4, 9));
          break;
      }
    }
    const auto c = curve(text);
    const Duration from{static_cast<std::int64_t>(random() % (86'400 * second))};
    const Duration to = from + Duration{std::llround(std::pow(10, number(3, 13.5)))};
    const Duration middle{from.ns + (to - from).ns / 3};
    const double joules = c.joules(from, to).value(), seconds_long = (to - from).seconds().value();
    const double slack = 1e-12 * (1 + joules);
    ASSERT_GE(joules, c.least(from, to).value() * seconds_long - slack) << text << " " << from.ns << " " << to.ns;
    ASSERT_LE(joules, c.most(from, to).value() * seconds_long + slack) << text << " " << from.ns << " " << to.ns;
    ASSERT_NEAR(joules, c.joules(from, middle).value() + c.joules(middle, to).value(), slack) << text;
  }
}

TEST(PowerCurve, NoiseIsTheSameForASeedOtherForAnotherAndNeverLeavesItsBand) {
  const auto a = curve("noise:7,30,15,0.01"), b = curve("noise:8,30,15,0.01");
  int equal = 0, above = 0;
  double low = 1e9, high = 0;
  for (int cell = 0; cell < 1600; ++cell) {
    const Duration t = {cell * 10'000'000LL + 3};
    EXPECT_EQ(a.watts(t).value(), curve("noise:7,30,15,0.01").watts(t).value());
    EXPECT_EQ(a.watts(t).value(), a.watts({t.ns + 9'000'000}).value());  // flat in its cell
    equal += a.watts(t).value() == b.watts(t).value();
    above += a.watts(t).value() > 30;
    low = std::min(low, a.watts(t).value());
    high = std::max(high, a.watts(t).value());
  }
  EXPECT_EQ(equal, 0);
  EXPECT_EQ(above, 800);  // each block's second half mirrors its first
  EXPECT_GE(low, 15);
  EXPECT_LE(high, 45);
  EXPECT_LT(low, 16);
  EXPECT_GT(high, 44);
}

TEST(PowerCurve, ItsTextIsTheSameCurveAgain) {
  for (const auto& text : every_shape) {
    const auto c = curve(text), again = curve(c.text());
    EXPECT_EQ(again.text(), c.text());
    for (int i = 0; i < 100; ++i) EXPECT_EQ(c.watts(seconds(0.0137 * i)), again.watts(seconds(0.0137 * i))) << text;
  }
}

TEST(PowerCurve, AnExponentsPlusIsNoSumAndAScaledCurveIsThatShareOfIt) {
  EXPECT_EQ(curve("constant:1e+1+constant:5").watts({0}).value(), 15);
  const auto whole = curve("constant:5+square:5,50,0.3+steps:0=1,0.1=3,repeat=1+noise:1,5,1,1");
  EXPECT_NEAR(whole.scaled(0.25).joules(seconds(9.87)).value().value(), whole.joules(seconds(9.87)).value().value() / 4,
              1e-9);
  EXPECT_NEAR(whole.plus(whole).watts(seconds(0.2)).value(), 2 * whole.watts(seconds(0.2)).value(), 1e-9);
}

TEST(PowerCurve, WhatIsNoCurveIsRefusedWithTheShapesThatThereAre) {
  for (const std::string text : {"",
                                 "+",
                                 "constant",
                                 "constant:",
                                 "constant:x",
                                 "constant:1,2",
                                 "constant:nan",
                                 "constant:inf",
                                 "constant:-1",
                                 "constant:1e300",
                                 "sine:1,2,3",
                                 "sine:1,1",
                                 "sine:1,1,0",
                                 "sine:1,1,-1",
                                 "sine:1,1,1e30",
                                 "square:1,2,1,1.5",
                                 "square:1,-2,1",
                                 "steps:",
                                 "steps:1=5",
                                 "steps:0=5,2=1,1=3",
                                 "steps:0=5,1=3,repeat=1",
                                 "steps:0=5,1=3,repeat=0",
                                 "steps:0=-5",
                                 "steps:repeat=1",
                                 "steps:0=1,repeat=2,3=1",
                                 "noise:1,2,3",
                                 "noise:-1,2,1,1",
                                 "noise:1.5,2,1,1",
                                 "noise:1,2,3,1",
                                 "constant:1+",
                                 "constant:1++constant:1",
                                 "sinus:1,1,1",
                                 "constant:1+constant:-2"}) {
    const auto parsed = PowerCurve::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::usage);
    EXPECT_NE(parsed.error().fix.find("square:LOW,HIGH"), std::string::npos);
  }
}

}  // namespace
}  // namespace prony
