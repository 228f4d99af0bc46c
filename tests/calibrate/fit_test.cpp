// Lines between software channels and a meter, and meters read by eye.
#include "calibrate/fit.hpp"

#include <gtest/gtest.h>

#include <random>

#include "calibrate/calibration.hpp"
#include "calibrate/meter.hpp"

namespace prony::calibrate {
namespace {

std::vector<Step> steps_on(double slope, double offset, std::initializer_list<double> xs) {
  std::vector<Step> steps;
  for (const double x : xs) steps.push_back({"s", x, slope * x + offset, 0, 0});
  return steps;
}

// Kills: x and y swapped, the offset at the mean instead of at zero.
TEST(Fit, RecoversTheLineThatThePointsLieOn) {
  const auto line = fit(steps_on(1.1451, 0.5879, {2, 4, 7, 9}));
  ASSERT_TRUE(line);
  EXPECT_NEAR(line->slope.value, 1.1451, 1e-12);
  EXPECT_NEAR(line->offset_w.value, 0.5879, 1e-12);
  EXPECT_NEAR(line->r2, 1, 1e-12);
  EXPECT_NEAR(line->residual_w, 0, 1e-12);
  EXPECT_EQ(line->least_x_w, 2);
  EXPECT_EQ(line->most_x_w, 9);
}

// Five points whose fit is in every textbook's reach: x 1…5, y 2 4 5 4 5: slope 0.6, offset 2.2, s² = 2.4 / 3.
// Kills: n in the place of n − 2, a normal quantile in the place of Student's.
TEST(Fit, ItsIntervalIsStudentsWithTwoDegreesLess) {
  std::vector<Step> steps;
  const double ys[] = {20.2, 20.4, 20.5, 20.4, 20.5};  // shifted and shrunk, R² would be too bad otherwise
  const double line_y[] = {6, 12, 18, 24, 30};
  for (int i = 0; i < 5; ++i) steps.push_back({"s", i + 1.0, ys[i] + line_y[i], 0, 0});
  const auto line = fit(steps);
  ASSERT_TRUE(line);
  EXPECT_NEAR(line->slope.value, 6.06, 1e-9);
  EXPECT_NEAR(line->offset_w.value, 20.22, 1e-9);
  const double s = std::sqrt(0.024 / 3);
  EXPECT_NEAR(line->residual_w, s, 1e-9);
  EXPECT_NEAR(line->slope.high - line->slope.value, 3.182 * s / std::sqrt(10), 1e-4);
  EXPECT_NEAR(line->offset_w.high - line->offset_w.value, 3.182 * s * std::sqrt(0.2 + 0.9), 2e-4);
}

// A promise of 95 % is counted: 2000 machines whose truth is known.
TEST(Fit, CoversTheTruthInAboutNinetyFivePercentOfCases) {
  std::mt19937 engine(7);
  std::normal_distribution<double> noise(0, 0.4);
  int slope = 0, offset = 0, predicted = 0;
  constexpr int times = 2000;
  for (int i = 0; i < times; ++i) {
    auto steps = steps_on(1.3, 5, {3, 8, 13, 18, 23});
    for (Step& step : steps) step.y_w += noise(engine);
    const auto line = fit(steps);
    ASSERT_TRUE(line);
    slope += line->slope.low <= 1.3 && 1.3 <= line->slope.high;
    offset += line->offset_w.low <= 5 && 5 <= line->offset_w.high;
    const Estimate told = apply(*line, {150, 150, 150, EstimateKind::bound}, 10);
    const double truth = 10 * (1.3 * 15 + 5 + noise(engine));
    predicted += told.low <= truth && truth <= told.high;
  }
  for (const int covered : {slope, offset, predicted}) {
    EXPECT_GE(covered, times * 93 / 100);
    EXPECT_LE(covered, times * 97 / 100);
  }
}

// Kills: the step of a meter lost because the points happen to lie on a line; doubts that combine as if independent.
TEST(Fit, TheReadingsOwnDoubtsMoveTheLineAtWorstLinearly) {
  auto steps = steps_on(2, 1, {1, 2, 3});
  for (Step& step : steps) step.y_doubt_w = 0.3;
  const auto line = fit(steps);
  ASSERT_TRUE(line);
  // slope = Σ (x − 2) y / 2: the outer two can pull it by (0.3 + 0.3) / 2.
  EXPECT_NEAR(line->slope.high - line->slope.value, 0.3, 1e-12);
  const Estimate told = apply(*line, {20, 20, 20, EstimateKind::bound}, 10);  // at the mean: each by a third
  EXPECT_NEAR(told.value, 50, 1e-9);
  EXPECT_NEAR(told.high - told.value, 3, 1e-9);
}

TEST(Fit, AppliedItCarriesTheDoubtOfWhatItIsAppliedToUnlessThatIsAModelsRange) {
  const auto line = fit(steps_on(2, 1, {1, 2, 3}));
  ASSERT_TRUE(line);
  const Estimate measured = apply(*line, {20, 19, 22, EstimateKind::bound}, 10);
  EXPECT_NEAR(measured.low, 48, 1e-9);
  EXPECT_NEAR(measured.high, 54, 1e-9);
  const Estimate modelled = apply(*line, {20, 5, 60, EstimateKind::range}, 10);
  EXPECT_NEAR(modelled.low, 50, 1e-9);
  EXPECT_EQ(modelled.kind, EstimateKind::interval_95);
}

// Kills: a calibration from rubbish that is believed ever after.
TEST(Fit, ALineThatSaysNothingIsRefused) {
  EXPECT_FALSE(fit(steps_on(1, 0, {1, 2})));
  EXPECT_FALSE(fit(steps_on(1, 0, {10, 10.1, 10.2})));  // the load moved nothing
  EXPECT_FALSE(fit(steps_on(1, 0, {5, 5, 5})));
  EXPECT_FALSE(fit(steps_on(-1, 50, {1, 5, 9})));
  auto wild = steps_on(1, 0, {1, 2, 3, 4, 5});
  wild[3].y_w = 20;
  const auto refused = fit(wild);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what.find("a line explains"), std::string::npos);
}

// A line below 0 at 0 is no machine's idle. Kills: a negative offset clipped to 0, which would tilt what the line tells
// inside its steps; one that is passed over in silence; one that is refused although it cannot be told from 0.
TEST(Fit, AnOffsetBelowZeroIsKeptAndItsMeaningSaid) {
  const auto bent = fit(steps_on(1.5, -4, {6, 12, 18, 24}));
  ASSERT_TRUE(bent);
  EXPECT_NEAR(bent->offset_w.value, -4, 1e-9);
  EXPECT_NEAR(apply(*bent, {120, 120, 120, EstimateKind::bound}, 10).value, 140, 1e-9);
  EXPECT_NE(words_of_offset(*bent).find("from 6.00 to 24.00 W seen, not down to 0"), std::string::npos);
  auto wide = steps_on(1, -0.5, {4, 8, 12});
  for (Step& step : wide) step.y_doubt_w = 1;
  const auto unsure = fit(wide);
  ASSERT_TRUE(unsure);
  EXPECT_EQ(words_of_offset(*unsure), "the offset cannot be told from 0");
  EXPECT_EQ(words_of_offset(*fit(steps_on(1, 0.5, {4, 8, 12}))), "");
}

// Kills: watts below nothing told as the meter's.
TEST(Fit, WhereALineFallsToNothingItSaysNothing) {
  const auto line = fit(steps_on(1.5, -4, {6, 12, 18, 24}));
  ASSERT_TRUE(line);
  EXPECT_NEAR(watts_at(*line, 4).value_or(0), 2, 1e-9);
  const auto below = watts_at(*line, 2);
  ASSERT_FALSE(below);
  EXPECT_EQ(below.error().what,
            "the line gives -1.00 W at the meter for 2.00 W seen, and nothing draws less than nothing");
  const auto refused =
      fit(steps_on(1.5, -4, {2, 12, 24}));  // a meter that shows less than nothing in its lightest step
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what.find("the lightest step"), std::string::npos);
  EXPECT_FALSE(refused.error().fix.empty());
}

// The worked figure of a plug with steps of 0.001 kWh: 0.002 kWh are 7200 J, and half a step is 1800 J. Kills: the zero
// that was set doubted too.
TEST(MeterReading, TwoThousandthsOfAKilowattHourAfterAResetToZeroAre7200JoulesWithin1800) {
  const auto reading = parse_meter_reading("0,0.002,0.001");
  ASSERT_TRUE(reading);
  const Estimate joules = joules_of(*reading);
  EXPECT_DOUBLE_EQ(joules.value, 7200);
  EXPECT_DOUBLE_EQ(joules.low, 5400);
  EXPECT_DOUBLE_EQ(joules.high, 9000);
  EXPECT_EQ(joules.kind, EstimateKind::bound);
}

// Kills: two rounded readings sold as one; a bound that random true readings fall out of.
TEST(MeterReading, TwoReadingsOfARunningMeterAreEachOffByHalfAStep) {
  const auto reading = parse_meter_reading("1.234,1.236");
  ASSERT_TRUE(reading);
  EXPECT_DOUBLE_EQ(reading->step_kwh, 0.001);
  EXPECT_NEAR(joules_of(*reading).value, 7200, 1e-6);
  EXPECT_NEAR(joules_of(*reading).high, 7200 + 3600, 1e-6);
  const auto same_step = parse_meter_reading("0.002,0.004,0.001");  // kills: small numbers taken for a reset
  ASSERT_TRUE(same_step);
  EXPECT_NEAR(joules_of(*same_step).low, 7200 - 3600, 1e-6);
  EXPECT_NEAR(joules_of(*same_step).high, 7200 + 3600, 1e-6);
  std::mt19937 engine(3);
  std::uniform_real_distribution<double> kwh(0.01, 2);
  for (int i = 0; i < 1000; ++i) {
    const double a = kwh(engine), b = a + kwh(engine);
    const auto shown = [](double v) { return std::round(v / 0.01) * 0.01; };
    const Estimate told = joules_of({shown(a), shown(b), 0.01});
    EXPECT_LE(told.low, (b - a) * 3.6e6 + 1e-3);
    EXPECT_GE(told.high, (b - a) * 3.6e6 - 1e-3);
  }
}

TEST(MeterReading, WordsThatAreNoneAreRefused) {
  for (const char* text : {"", "1", "1,", "a,b", "2,1", "-1,2", "1,2,0", "1,2,-1", "1,2,3,4", "nan,1", "1,1e99"})
    EXPECT_FALSE(parse_meter_reading(text)) << text;
}

TEST(KeptCalibration, ComesBackFromItsTextAndRubbishDoesNot) {
  const Calibration kept{
      "power_supply.BAT0.power",  {"rapl.package-0.energy"}, "2026-11-21T09:00:00.000Z", "0.1.0", "m",
      steps_on(1.2, 3, {1, 2, 3})};
  const auto back = calibration_from_text(to_text(kept));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->meter, kept.meter);
  EXPECT_EQ(back->from, kept.from);
  ASSERT_EQ(back->steps.size(), 3u);
  EXPECT_EQ(back->steps[2].y_w, kept.steps[2].y_w);
  for (const char* text : {"", "{}", "[1]", R"({"format":"prony.calibration/1","meter":"m","from":[],"steps":[]})",
                           R"({"format":"prony.calibration/1","meter":"m","from":["a"],"steps":[{"x_w":"1"}]})"})
    EXPECT_FALSE(calibration_from_text(text)) << text;
}

// Kills: a core added to its package, the meter held against itself, psys counted with what lies in it.
TEST(KeptCalibration, WhatIsHeldAgainstAMeterIsCountedOnce) {
  std::vector<Channel> channels(4);
  const char* names[] = {"rapl.psys.energy", "rapl.package-0.energy", "rapl.core-0.energy", "cpu-model.cpu.power"};
  for (std::uint32_t i = 0; i < 4; ++i) {
    channels[i].id = {i};
    channels[i].name = names[i];
    channels[i].measure = Measure::energy;
  }
  channels[1].part_of = ChannelId{0};
  channels[2].part_of = ChannelId{1};
  channels[3].model = PowerModel{};
  const auto held = [&](const char* meter) {
    std::vector<std::string> told;
    for (const Channel* channel : software_channels(channels, meter)) told.push_back(channel->name);
    return told;
  };
  EXPECT_EQ(held("rapl.psys.energy"), std::vector<std::string>{"rapl.package-0.energy"});
  EXPECT_EQ(held("wall"), std::vector<std::string>{"rapl.psys.energy"});
  channels.erase(channels.begin(), channels.begin() + 3);
  EXPECT_EQ(held("wall"), std::vector<std::string>{"cpu-model.cpu.power"});
}

}  // namespace
}  // namespace prony::calibrate
