// Sensors that lie, stop, restart or come back.
#include <gtest/gtest.h>

#include "rig.hpp"

namespace prony {
namespace {

using namespace rig;

Ledger ledger_from(const Channel& channel, const Source& source, std::int64_t interval, std::int64_t to = 10 * second) {
  Recording run;
  Group group{GroupId{1}, "fast", Duration{interval}, {}};
  std::vector<Source> sources;
  run.add(group, sources, channel, source);
  run.groups = {group};
  run.spans = {span(1, SpanKind::run, "run", origin + second, origin + 9 * second)};
  Attribution attribution(run.channels, run.groups, run.spans);
  for (const auto& block : in_blocks(GroupId{1}, poll(sources, origin, origin + to, interval), 512))
    attribution.push(block);
  return attribution.finish();
}

std::string why_no_gross(const Ledger& ledger) {
  for (const auto& [field, reason] : ledger.energy[0].absent)
    if (field == "gross") return reason;
  return {};
}

bool in_hole(std::int64_t t, std::int64_t from_ms, std::int64_t to_ms) {
  return t > origin + from_ms * millisecond && t < origin + to_ms * millisecond;
}

// Kills: a failed read taken for 0, and so for a wrap of a whole range.
TEST(Faults, AFailedReadCostsACounterNothing) {
  const Source source = counter_of(Power{{origin}, {40}}, millisecond, 0);
  Channel channel = energy_counter(millisecond);
  channel.range = 262'143'328'850;
  const Ledger ledger = ledger_from(
      channel, [=](std::int64_t t) { return in_hole(t, 4000, 6000) ? Reading{} : source(t); }, 10 * millisecond);
  EXPECT_NEAR(ledger.energy[0].gross->value, 320, 0.1);
  EXPECT_EQ(ledger.energy[0].gaps, 1u);
  EXPECT_EQ(ledger.energy[0].wraps, 0u);
  EXPECT_NEAR(ledger.energy[0].gap_time.seconds().value(), 2, 0.03);
}

// Kills: a restart read as a wrap (a phantom of thousands of joules), and one after which everything is lost.
TEST(Faults, ARestartedCounterLosesNoMoreThanTheHoleAndTheTruthStaysInside) {
  Channel channel = energy_counter(millisecond);
  channel.range = 262'143'328'850;
  const Source source = counter_of(Power{{origin}, {40}}, millisecond, 0, 0, 50'000'000'000);
  const std::int64_t start = source(origin + 5 * second).raw;
  const Ledger ledger = ledger_from(
      channel,
      [=](std::int64_t t) {
        Reading reading = source(t);
        if (t > origin + 5 * second) reading.raw -= start;
        return reading;
      },
      10 * millisecond);
  const ChannelLedger& row = ledger.energy[0];
  EXPECT_EQ(row.resets, 1u);
  EXPECT_EQ(row.wraps, 0u);
  EXPECT_NEAR(row.gross->value, 320, 0.5);
  EXPECT_LE(row.gross->low, 320);
  EXPECT_GE(row.gross->high, 320);
  EXPECT_EQ(row.gross->kind, EstimateKind::interval_95);
}

// Kills: a gap of a gauge counted as zero watts.
TEST(Faults, AGapOfAGaugeIsNotZeroWattsAndWidensTheRange) {
  Channel channel;
  channel.name = "hwmon.power";
  channel.measure = Measure::power;
  channel.scale = 1e-6;
  const auto gauge = [](std::int64_t t) {
    return in_hole(t, 4000, 5000) ? Reading{} : Reading{30'000'000, Quality::ok};
  };
  const ChannelLedger row = ledger_from(channel, gauge, 100 * millisecond).energy[0];
  EXPECT_NEAR(row.gross->value, 240, 0.1);
  EXPECT_NEAR(row.gross->low, 240 - 30, 6);
  EXPECT_NEAR(row.gross->high, 240, 0.1);
  EXPECT_EQ(row.gaps, 1u);
}

// Kills: a vanished sensor whose missing half is printed as if it were all.
TEST(Faults, ASensorThatVanishesLeavesNoNumberForTheWholeWindow) {
  const Source source = counter_of(Power{{origin}, {40}}, millisecond, 0);
  const Ledger ledger = ledger_from(
      energy_counter(millisecond), [=](std::int64_t t) { return t > origin + 4 * second ? Reading{} : source(t); },
      10 * millisecond);
  EXPECT_FALSE(ledger.energy[0].resolvable);
  EXPECT_FALSE(ledger.energy[0].gross);
  EXPECT_FALSE(ledger.headline_j);
  EXPECT_NEAR(ledger.energy[0].recorded.value, 160, 0.5);
  EXPECT_EQ(why_no_gross(ledger), "the sensor gave no reading in the last 5.0 s of the window");
  EXPECT_FALSE(ledger.energy[0].needed_s) << "no longer window would help";
}

// Kills: a sensor that began late and is told to be too slow.
TEST(Faults, ASensorThatBeginsLateSaysHowMuchIsMissing) {
  const Source source = counter_of(Power{{origin}, {40}}, millisecond, 0);
  const Ledger ledger = ledger_from(
      energy_counter(millisecond), [=](std::int64_t t) { return t < origin + 6 * second ? Reading{} : source(t); },
      10 * millisecond);
  EXPECT_FALSE(ledger.energy[0].resolvable);
  EXPECT_EQ(why_no_gross(ledger), "the sensor gave no reading in the first 5.0 s of the window");
  EXPECT_EQ(ledger.energy[0].gaps, 1u);
  EXPECT_NEAR(ledger.energy[0].gap_time.seconds().value(), 6, 0.03);
  EXPECT_FALSE(ledger.energy[0].needed_s);
}

// Kills: a slow sensor's window being taken for one in which the sensor was away.
TEST(Faults, AWindowThatIsTooShortIsSaidToBeTooShort) {
  const Source source = counter_of(Power{{origin}, {40}}, 9 * second, 0);
  const Ledger ledger = ledger_from(energy_counter(9 * second), source, 10 * millisecond, 10 * second);
  EXPECT_FALSE(ledger.energy[0].resolvable);
  EXPECT_EQ(why_no_gross(ledger), "the window is too short for this sensor");
  EXPECT_GT(ledger.energy[0].needed_s.value_or(0), 8);
}

// Kills: "too short" told of a counter that no window will ever make count.
TEST(Faults, ACounterThatNeverMovesIsSaidToStandStill) {
  const Ledger ledger = ledger_from(
      energy_counter(millisecond), [](std::int64_t) { return Reading{1234, Quality::ok}; }, 10 * millisecond);
  EXPECT_FALSE(ledger.energy[0].resolvable);
  EXPECT_NE(why_no_gross(ledger).find("stands still"), std::string::npos) << why_no_gross(ledger);
  EXPECT_FALSE(ledger.energy[0].needed_s) << "no longer window would help";
}

// Two domains side by side for `to`: a package's counter and the modelled stand-in, which says 20 W. The package's
// headline, or the stand-in's?
Ledger beside_a_stand_in(const Source& package, std::int64_t to) {
  Recording run;
  Group group{GroupId{1}, "fast", Duration{10 * millisecond}, {}};
  std::vector<Source> sources;
  run.add(group, sources, energy_counter(millisecond), package);
  Channel modelled = energy_counter(4 * millisecond, "cpu-model.cpu.power");
  modelled.measure = Measure::power, modelled.origin = Origin::modelled, modelled.scale = 1e-9, modelled.max_rate = 0;
  modelled.model = PowerModel{"m",       "s",       1,         Watts(10), Watts(5), Watts(20), Watts(20),
                              Watts(15), Watts(40), 2'000'000, 3'000'000, 1,        1};
  run.add(group, sources, modelled, [](std::int64_t t) { return Reading{t - origin, Quality::ok}; });
  run.groups = {group};
  run.spans = {span(1, SpanKind::run, "run", origin + to / 10, origin + to * 9 / 10)};
  Attribution attribution(run.channels, run.groups, run.spans);
  for (const auto& block : in_blocks(GroupId{1}, poll(sources, origin, origin + to, 10 * millisecond), 512))
    attribution.push(block);
  return attribution.finish();
}

// Kills: a package that stands still for the whole Run as the headline, of which then nothing can be told; also in a
// Run that is too short to call the counter dead.
TEST(Faults, WhereACounterStandsStillTheStandInBesideItIsTheHeadline) {
  for (const std::int64_t to : {500 * millisecond, 10 * second}) {
    const Ledger ledger = beside_a_stand_in([](std::int64_t) { return Reading{1234, Quality::ok}; }, to);
    EXPECT_TRUE(ledger.headline_modelled) << to;
    EXPECT_FALSE(ledger.energy[0].headline);
    ASSERT_TRUE(ledger.headline_j);
    EXPECT_NEAR(ledger.headline_j->value, 20e-9 * 0.8 * static_cast<double>(to), 0.5);
    EXPECT_EQ(ledger.headline_j->kind, EstimateKind::range);
  }
}

// Kills: a stand-in that is used, or added, where the counter came to life after all.
TEST(Faults, ACounterThatWasDoubtedAndCountsIsTheHeadline) {
  const Source source = counter_of(Power{{origin}, {40}}, millisecond, 0);
  const Ledger ledger = beside_a_stand_in(source, 10 * second);
  EXPECT_FALSE(ledger.headline_modelled);
  ASSERT_TRUE(ledger.headline_j);
  EXPECT_NEAR(ledger.headline_j->value, 320, 1);
}

// Kills: a trapezoid that is off by a reading at the edges, or a sum instead of an integral.
TEST(Gauges, ThePowerOfASineIntegratesToItsMean) {
  Channel channel;
  channel.measure = Measure::power;
  channel.scale = 1e-6;
  const auto sine = [](std::int64_t t) {
    const double x = static_cast<double>(t - origin) * 1e-9;
    return Reading{static_cast<std::int64_t>(1e6 * (50 + 30 * std::sin(2 * 3.14159265358979 * x))), Quality::ok};
  };
  const ChannelLedger row = ledger_from(channel, sine, 10 * millisecond).energy[0];
  EXPECT_NEAR(row.gross->value, 400, 0.1);
  EXPECT_LT(row.gross->low, 400);
  EXPECT_GT(row.gross->high, 400);
  EXPECT_GT(*row.peak_w, 78);
  EXPECT_LT(*row.peak_w, 80);
}

// Kills: "period not documented" taken for "renewed at every read". Drivers keep a value for up to a second.
TEST(Gauges, AGaugeOfUndocumentedPeriodMayBeASecondOldAndItsBoundKnowsThat) {
  Channel channel;
  channel.measure = Measure::power;
  channel.scale = 1;
  const std::int64_t kept = 900 * millisecond;
  for (int phase = 0; phase < 9; ++phase) {
    const Power power{{origin, origin + 4 * second + phase * 100 * millisecond}, {10, 100}};
    const auto stale = [&](std::int64_t t) {
      return Reading{static_cast<std::int64_t>(power((t - origin) / kept * kept + origin)), Quality::ok};
    };
    const ChannelLedger row = ledger_from(channel, stale, 10 * millisecond).energy[0];
    ASSERT_TRUE(row.gross);
    const double truth = power.energy(origin + 9 * second) - power.energy(origin + second);
    EXPECT_LE(row.gross->low, truth) << phase;
    EXPECT_GE(row.gross->high, truth) << phase;
  }
}

}  // namespace
}  // namespace prony
