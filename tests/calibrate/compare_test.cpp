// Two sensors side by side.
#include "calibrate/compare.hpp"

#include <gtest/gtest.h>

namespace prony::calibrate {
namespace {

Channel channel(std::uint32_t id, std::string sensor, std::string name, std::string domain, Measure measure) {
  Channel c;
  c.id = {id};
  c.sensor = std::move(sensor);
  c.name = std::move(name);
  c.domain = std::move(domain);
  c.measure = measure;
  c.kind = measure == Measure::energy ? ChannelKind::counter : ChannelKind::gauge;
  return c;
}
Estimate exact(double joules) { return {joules, joules, joules, EstimateKind::bound}; }

// Kills: the ratio upside down; the narrowest instead of the widest that both doubts allow.
TEST(Compare, APartIsToldAsAShareOfItsWholeWithTheWorstThatBothAllow) {
  const Channel whole = channel(0, "rapl", "rapl.psys.energy", "psys", Measure::energy);
  Channel part = channel(1, "rapl", "rapl.package-0.energy", "package-0", Measure::energy);
  part.part_of = whole.id;
  const std::vector<MeteredRow> rows{{&whole, Estimate{100, 90, 110, EstimateKind::interval_95}, true},
                                     {&part, Estimate{80, 76, 84, EstimateKind::bound}, false}};
  const auto told = compare(rows);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].likeness, Likeness::part);
  EXPECT_EQ(told[0].what, std::vector<std::string>{"rapl.package-0.energy"});
  EXPECT_EQ(told[0].against, "rapl.psys.energy");
  EXPECT_DOUBLE_EQ(told[0].ratio.value, 0.8);
  EXPECT_DOUBLE_EQ(told[0].ratio.low, 76.0 / 110);
  EXPECT_DOUBLE_EQ(told[0].ratio.high, 84.0 / 90);
  EXPECT_EQ(told[0].ratio.kind, EstimateKind::interval_95);
}

// Four runs of a published comparison of a wall meter with software that saw 66 to 74 % of it.
TEST(Compare, SoftwareAgainstAWallMeterGivesTheKnownRatios) {
  const double wall[] = {19'181, 39'062, 28'554, 15'655}, software[] = {14'107, 28'027, 19'490, 10'405};
  const double ratio[] = {0.7355, 0.7175, 0.6826, 0.6646};
  for (int i = 0; i < 4; ++i) {
    Channel meter = channel(0, "hwmon", "hwmon.power_meter.power1.power", "wall", Measure::power);
    meter.coverage_known = false;
    const Channel package = channel(1, "rapl", "rapl.package-0.energy", "package-0", Measure::energy);
    const Channel memory = channel(2, "rapl", "rapl.dram-0.energy", "dram-0", Measure::energy);
    const std::vector<MeteredRow> rows{
        {&meter, exact(wall[i]), false}, {&package, exact(software[i] - 1000), true}, {&memory, exact(1000), true}};
    const auto told = compare(rows);
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].likeness, Likeness::meter);
    EXPECT_EQ(told[0].what.size(), 2u);
    EXPECT_NEAR(told[0].ratio.value, ratio[i], 0.0001);
    EXPECT_GE(told[0].ratio.value, 0.66);
    EXPECT_LE(told[0].ratio.value, 0.74);
  }
}

// Kills: parts of a plug told one by one and their sum never; the model told where the machine measures.
TEST(Compare, WhereThePlugIsTheHeadlineAllThatLiesInItIsHeldAgainstItTogether) {
  Channel meter = channel(0, "plug", "plug.wall.power", "wall", Measure::power);
  Channel left = channel(1, "rapl", "rapl.package-0.energy", "package-0", Measure::energy), right = left;
  left.part_of = right.part_of = meter.id;
  right.id = {2}, right.name = "rapl.package-1.energy", right.domain = "package-1";
  Channel model = channel(3, "cpu-model", "cpu-model.cpu.power", "cpu", Measure::power);
  model.origin = Origin::modelled, model.model = PowerModel{};
  const std::vector<MeteredRow> rows{
      {&meter, exact(100), true}, {&left, exact(30), false}, {&right, exact(38), false}, {&model, exact(55), false}};
  const auto told = compare(rows);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].likeness, Likeness::meter);
  EXPECT_EQ(told[0].what.size(), 2u);
  EXPECT_DOUBLE_EQ(told[0].ratio.value, 0.68);
  const auto modelled = compare(std::vector<MeteredRow>{{&meter, exact(100), true}, {&model, exact(55), false}});
  ASSERT_EQ(modelled.size(), 1u);
  EXPECT_DOUBLE_EQ(modelled[0].ratio.value, 0.55);
}

// Kills: a part added to its whole before it is compared with the meter.
TEST(Compare, WhatLiesInAnotherChannelIsNotCountedTwiceAgainstTheMeter) {
  Channel meter = channel(0, "power_supply", "power_supply.BAT0.power", "supply-BAT0", Measure::power);
  meter.coverage_known = false;
  const Channel package = channel(1, "rapl", "rapl.package-0.energy", "package-0", Measure::energy);
  Channel core = channel(2, "rapl", "rapl.core-0.energy", "core-0", Measure::energy);
  core.part_of = package.id;
  const std::vector<MeteredRow> rows{
      {&meter, exact(100), false}, {&package, exact(70), true}, {&core, exact(50), false}};
  const auto told = compare(rows);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].likeness, Likeness::meter);
  EXPECT_DOUBLE_EQ(told[0].ratio.value, 0.7);
}

TEST(Compare, ModelledJoulesAreHeldAgainstTheMeterWhereNothingElseIsThere) {
  Channel meter = channel(0, "power_supply", "power_supply.BAT0.power", "supply-BAT0", Measure::power);
  meter.coverage_known = false;
  Channel model = channel(1, "cpu-model", "cpu-model.cpu.power", "cpu", Measure::power);
  model.origin = Origin::modelled;
  model.model = PowerModel{};
  const std::vector<MeteredRow> rows{{&meter, exact(100), true},
                                     {&model, Estimate{60, 30, 90, EstimateKind::range}, false}};
  const auto told = compare(rows);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_DOUBLE_EQ(told[0].ratio.value, 0.6);
  EXPECT_EQ(told[0].ratio.kind, EstimateKind::range);
}

TEST(Compare, ACounterIsHeldAgainstTheIntegralOfAPowerOfTheSameDomain) {
  const Channel power = channel(0, "hwmon", "hwmon.x.power", "gpu-0", Measure::power);
  const Channel counter = channel(1, "hwmon", "hwmon.x.energy", "gpu-0", Measure::energy);
  const std::vector<MeteredRow> rows{{&power, exact(327), false}, {&counter, exact(187), true}};
  const auto told = compare(rows);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].likeness, Likeness::counter_and_power);
  EXPECT_EQ(told[0].what.front(), counter.name);  // the counter over the integral, whichever comes first
  EXPECT_DOUBLE_EQ(told[0].ratio.value, 187.0 / 327);
}

TEST(Compare, MirrorsOfAProcessorAreFoundByItsNumber) {
  const Channel a0 = channel(0, "rapl", "rapl.package-0.energy", "package-0", Measure::energy);
  const Channel a1 = channel(1, "rapl", "rapl.package-1.energy", "package-1", Measure::energy);
  const Channel b1 = channel(2, "hwmon", "hwmon.amd_energy.Esocket1.energy", "amd_energy-Esocket1", Measure::energy);
  const std::vector<MeteredRow> rows{{&a0, exact(10), true}, {&a1, exact(20), true}, {&b1, exact(19), false}};
  const auto told = compare(rows);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].likeness, Likeness::same);
  EXPECT_EQ(told[0].what.front(), a1.name);
  EXPECT_EQ(told[0].against, b1.name);
}

// Kills: a division by a battery that rests, and a ratio of what nobody could resolve.
TEST(Compare, NothingIsComparedWithWhatIsAbsentOrNotAboveZero) {
  Channel meter = channel(0, "power_supply", "power_supply.BAT0.power", "supply-BAT0", Measure::power);
  meter.coverage_known = false;
  const Channel package = channel(1, "rapl", "rapl.package-0.energy", "package-0", Measure::energy);
  EXPECT_TRUE(compare(std::vector<MeteredRow>{{&meter, exact(0), false}, {&package, exact(70), true}}).empty());
  EXPECT_TRUE(compare(std::vector<MeteredRow>{{&meter, exact(-5), false}, {&package, exact(70), true}}).empty());
  EXPECT_TRUE(compare(std::vector<MeteredRow>{{&meter, std::nullopt, false}, {&package, exact(70), true}}).empty());
  EXPECT_TRUE(compare(std::vector<MeteredRow>{{&meter, exact(100), false}, {&package, std::nullopt, true}}).empty());
}

}  // namespace
}  // namespace prony::calibrate
