// A kept calibration put into a modelled channel.
#include "calibrate/fitted_model.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace prony::calibrate {
namespace {

Channel modelled_channel() {
  Channel channel;
  channel.name = "cpu-model.cpu.power";
  channel.domain = "cpu";
  channel.measure = Measure::power;
  channel.kind = ChannelKind::counter;
  channel.origin = Origin::modelled;
  PowerModel model{"family", "a page", 4, Watts(2), Watts(1), Watts(5), Watts(10), Watts(6), Watts(18)};
  model.clock_limit = 0.8;
  channel.model = model;
  return channel;
}

// meter = 1.5 × seen + 4, with residuals that sum to nothing.
Calibration kept_line() {
  Calibration kept{"the plug", {"cpu-model.cpu.power"}, "2026-11-21T09:00:00.000Z", "0.1.0", "m", {}};
  const double off[] = {0.1, -0.1, -0.1, 0.1};
  for (int i = 0; i < 4; ++i) kept.steps.push_back({"s", 3.0 + 2 * i, 1.5 * (3 + 2 * i) + 4 + off[i], 0, 0.05});
  kept.model = figures_of(modelled_channel(), false);
  return kept;
}

// Kills: the offset put into the load, the slope left out of idle, a model that keeps its own figures beside the label.
TEST(CalibratedChannel, IsDerivedWithTheLinesFiguresAtIdleAndAtFullLoad) {
  Channel channel = modelled_channel();
  const auto done = calibrate_channel(kept_line(), false, channel);
  ASSERT_TRUE(done);
  EXPECT_TRUE(*done);
  EXPECT_EQ(channel.origin, Origin::derived);
  EXPECT_NEAR(channel.model->idle.value(), 1.5 * 2 + 4, 1e-9);
  EXPECT_NEAR(channel.model->full.value(), 1.5 * 10 + 4, 1e-9);
  EXPECT_EQ(channel.model->name, "calibrated against the plug on 2026-11-21");
  EXPECT_NE(channel.model->source.find("residual 0.141 W"), std::string::npos) << channel.model->source;
  EXPECT_NE(channel.model->source.find("family (a page)"), std::string::npos);
  EXPECT_EQ(channel.domain, "cpu");
}

// Kills: the confidence of the line sold as that of a prediction; a chord below the curve between the ends.
TEST(CalibratedChannel, BetweenItsEndsItIsNowhereNarrowerThanTheLinesPrediction) {
  const Calibration kept = kept_line();
  const auto line = fit(kept.steps);
  Channel channel = modelled_channel();
  ASSERT_TRUE(calibrate_channel(kept, false, channel));
  const PowerModel& model = *channel.model;
  for (double load = 0; load <= 1; load += 0.05) {
    const auto told = [&](Watts idle, Watts full) { return idle.value() + load * (full.value() - idle.value()); };
    const double x_w = 2 + load * 8;
    const Estimate wanted = apply(*line, {x_w, x_w, x_w, EstimateKind::range}, 1);
    EXPECT_NEAR(told(model.idle, model.full), wanted.value, 1e-9);
    EXPECT_LE(told(model.idle_low, model.full_low), wanted.low + 1e-9) << load;
    EXPECT_GE(told(model.idle_high, model.full_high), wanted.high - 1e-9) << load;
  }
}

TEST(CalibratedChannel, AMeterOfTheWholeMachineMakesItTheWall) {
  Calibration kept = kept_line();
  kept.whole_machine = true;
  const auto back = calibration_from_text(to_text(kept));
  ASSERT_TRUE(back);
  Channel channel = modelled_channel();
  ASSERT_TRUE(calibrate_channel(*back, {}, channel));
  EXPECT_EQ(channel.domain, "wall");
  EXPECT_NEAR(channel.model->idle.value(), 7, 1e-9);
}

// Kills: a line that is applied to what it was not fitted to.
TEST(CalibratedChannel, ALineForAnotherChannelOrAnotherModelChangesNothing) {
  const auto tried = [](const Calibration& kept, std::optional<bool> clocks, const Channel& given) {
    Channel channel = given;
    const auto done = calibrate_channel(kept, clocks, channel);
    if (!done || !*done) {
      EXPECT_EQ(channel.origin, given.origin);
      EXPECT_EQ(channel.model ? channel.model->idle.value() : 0, given.model ? given.model->idle.value() : 0);
    }
    return done ? std::string(*done ? "applied" : "no matter") : done.error().what;
  };
  Channel other = modelled_channel();
  other.name = "another";
  EXPECT_EQ(tried(kept_line(), false, other), "no matter");
  Channel measured = modelled_channel();
  measured.model.reset();
  EXPECT_EQ(tried(kept_line(), false, measured), "no matter");
  Channel twice = modelled_channel();
  ASSERT_TRUE(calibrate_channel(kept_line(), false, twice));
  EXPECT_EQ(tried(kept_line(), false, twice), "no matter");
  Channel grown = modelled_channel();
  grown.model->full = Watts(11);
  EXPECT_NE(tried(kept_line(), false, grown).find("the model was another then"), std::string::npos);
  Calibration old = kept_line();
  old.model.reset();
  EXPECT_NE(tried(old, false, modelled_channel()).find("before modelled channels could"), std::string::npos);
  Channel clocked = modelled_channel();
  clocked.model->reference_clock_hz = 2e9;
  EXPECT_NE(tried(kept_line(), true, clocked).find("not read then and are now"), std::string::npos);
  EXPECT_EQ(tried(kept_line(), std::nullopt, clocked), "applied");
}

// Kills: an idle power below nothing, which a line from loaded steps alone gives at the model's idle.
TEST(CalibratedChannel, ALineThatGivesNothingAtTheModelsIdleIsNotApplied) {
  Calibration kept = kept_line();
  for (Step& step : kept.steps) step.y_w -= 7.5;  // 1.5 × seen − 3.5: above 0 at 3 W seen, below at the model's 2 W
  Channel channel = modelled_channel();
  const auto done = calibrate_channel(kept, false, channel);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().what.find("-0.50 W at the meter for 2.00 W seen"), std::string::npos) << done.error().what;
  EXPECT_EQ(channel.origin, Origin::modelled);
}

}  // namespace
}  // namespace prony::calibrate
