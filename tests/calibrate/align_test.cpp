// The offset of a meter's clock: found where it can be, refused where several would do.
#include "calibrate/align.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

namespace prony::calibrate {
namespace {

using Curve = std::function<double(double)>;

PowerSeries sampled(const Curve& power, double from_s, double to_s, double step_s, double clock_s, double noise_w,
                    unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> noise(0, noise_w);
  PowerSeries series;
  for (double t = from_s; t < to_s; t += step_s) {
    series.at_s.push_back(t - clock_s);
    series.value.push_back(power(t) + (noise_w > 0 ? noise(random) : 0));
  }
  return series;
}

// Steps of load as programs make them: of random length and height.
Curve random_steps(unsigned seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> watts(20, 120), length(0.5, 4);
  std::vector<std::pair<double, double>> steps;
  for (double t = -400; t < 800; t += length(random)) steps.emplace_back(t, watts(random));
  return [steps](double t) {
    double now = steps.front().second;
    for (const auto& [at, power] : steps) {
      if (at > t) break;
      now = power;
    }
    return now;
  };
}

// Kills: the offset with the wrong sign; a doubt that does not hold the truth; one that is no smaller than the search.
TEST(Align, TheOffsetIsWithinItsDoubtForAnyLoadClockAndNoise) {
  int held = 0;
  constexpr int rounds = 20;
  for (unsigned seed = 0; seed < rounds; ++seed) {
    std::mt19937_64 random(seed + 100);
    const double clock_s = std::uniform_real_distribution<double>(-20, 20)(random);
    const Curve load = random_steps(seed);
    const auto seen = sampled(load, 0, 60, 0.05, 0, 1, seed + 1);
    // The meter sees a supply's losses too.
    const auto meter = sampled([&](double t) { return 12 + 1.2 * load(t); }, -5, 66, 0.1, clock_s, 2, seed + 2);
    const auto told = align(seen, meter, {0, 30});
    ASSERT_TRUE(told) << seed << ' ' << told.error().what;
    held += std::abs(told->offset_s - clock_s) <= told->doubt_s ? 1 : 0;
    EXPECT_LT(std::abs(told->offset_s - clock_s), 0.1) << seed;
    EXPECT_LT(told->doubt_s, 0.5) << seed;
    EXPECT_GT(told->correlation, 0.9) << seed;
    EXPECT_GT(told->residual_w, 1) << seed;
  }
  EXPECT_GE(held, rounds - 2);  // 95 % of twenty
}

// Kills: an offset that is known to a whole cell of a grid only, when two series of one spacing lie unluckily in it.
TEST(Align, TwoSeriesOfOneSpacingArePlacedToAFractionOfItWhereverTheirReadingsFall) {
  const Curve steps = random_steps(21);
  // Means over 50 ms, as counters give them.
  const Curve load = [&](double t) {
    double sum = 0;
    for (int i = 0; i < 10; ++i) sum += steps(t - 0.0225 + 0.005 * i);
    return sum / 10;
  };
  for (int i = 0; i < 20; ++i) {
    const double phase_s = 0.0025 * i, clock_s = 1.25 + 0.0031 * i;
    const auto told =
        align(sampled(load, 0.001, 30, 0.05, 0, 0, 1),
              sampled([&](double t) { return 8 + 1.15 * load(t); }, phase_s, 30, 0.05, clock_s, 0, 2), {0, 3});
    ASSERT_TRUE(told) << phase_s;
    EXPECT_LT(std::abs(told->offset_s - clock_s), 0.01) << phase_s;
    EXPECT_LE(std::abs(told->offset_s - clock_s), told->doubt_s) << phase_s;
    EXPECT_LE(told->doubt_s, 0.05) << phase_s;
  }
}

// Kills: a load that repeats itself placed one period off, without a word.
TEST(Align, ALoadThatRepeatsItselfIsRefused) {
  const Curve square = [](double t) { return std::fmod(t + 1000, 4.0) < 2 ? 100.0 : 40.0; };
  const auto told = align(sampled(square, 0, 60, 0.05, 0, 0.5, 1), sampled(square, -5, 65, 0.1, 1.3, 0.5, 2), {0, 30});
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().code, ErrorCode::malformed);
  EXPECT_NE(told.error().fix.find("--offset"), std::string::npos);
  // Of a search that is narrower than its period one answer is left.
  EXPECT_TRUE(align(sampled(square, 0, 60, 0.05, 0, 0.5, 1), sampled(square, -5, 65, 0.1, 0.3, 0.5, 2), {0, 0.9}));
}

TEST(Align, AConstantLoadNoOverlapAndTooFewReadingsAreRefused) {
  const Curve flat = [](double) { return 50.0; };
  EXPECT_FALSE(align(sampled(flat, 0, 60, 0.05, 0, 1, 1), sampled(flat, 0, 60, 0.1, 0, 1, 2), {0, 30}));
  EXPECT_FALSE(align(sampled(flat, 0, 60, 0.05, 0, 0, 1), sampled(flat, 0, 60, 0.1, 0, 0, 2), {0, 30}));
  const Curve load = random_steps(3);
  EXPECT_FALSE(align(sampled(load, 0, 60, 0.05, 0, 1, 1), sampled(load, 300, 360, 0.1, 0, 1, 2), {0, 30}));
  EXPECT_FALSE(align(sampled(load, 0, 60, 0.05, 0, 1, 1), sampled(load, 0, 1, 0.1, 0, 1, 2), {0, 30}));
}

// A plug that tells once a second is placed less well, and says so.
TEST(Align, ASlowMeterHasTheLargerDoubt) {
  const Curve load = random_steps(11);
  const auto seen = sampled(load, 0, 200, 0.05, 0, 1, 1);
  const auto fast = align(seen, sampled(load, 0, 200, 0.1, 2.4, 1, 2), {0, 30});
  const auto slow = align(seen, sampled(load, 0, 200, 1.0, 2.4, 1, 2), {0, 30});
  ASSERT_TRUE(fast && slow);
  EXPECT_GT(slow->doubt_s, fast->doubt_s);
  EXPECT_LE(std::abs(slow->offset_s - 2.4), slow->doubt_s);
}

}  // namespace
}  // namespace prony::calibrate
