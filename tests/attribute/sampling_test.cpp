// What sampling that is not as it was planned may not do to joules: late and missing reads, readings at any distance,
// a baseline that drifts.
#include <gtest/gtest.h>

#include "rig.hpp"

namespace prony {
namespace {

using namespace rig;

Ledger ledger_of(const Channel& channel, const std::vector<Tick>& ticks, std::vector<Span> spans,
                 std::int64_t interval = 10 * millisecond) {
  Recording run;
  Group group{GroupId{1}, "fast", Duration{interval}, {}};
  std::vector<Source> sources;
  run.add(group, sources, channel, {});
  Attribution attribution(run.channels, std::vector{group}, spans);
  for (const auto& block : in_blocks(GroupId{1}, ticks, 512)) attribution.push(block);
  return attribution.finish();
}

Channel power_gauge() {
  Channel channel;
  channel.name = "hwmon.power";
  channel.measure = Measure::power;
  channel.scale = 1e-6;
  channel.update_period = Duration{millisecond};
  return channel;
}

// Kills: Σ power × nominal interval, which loses what passes while a sampler is late: here more than a fifth.
TEST(Sampling, LateAndMissingReadsChangeJoulesByLessThanHalfAPercentWhereASumOverNominalIntervalsLosesAFifth) {
  constexpr double two_pi = 6.283185307179586;
  const auto watts = [](double t_s) { return 20 + 8 * std::sin(two_pi * 0.1 * t_s); };
  const auto joules = [](double t_s) { return 20 * t_s + 8 * (1 - std::cos(two_pi * 0.1 * t_s)) / (two_pi * 0.1); };
  const std::int64_t nominal = 10 * millisecond, begin = origin + second, end = origin + 29 * second;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<Tick> ticks;
    double nominal_sum = 0;
    for (std::int64_t t = origin; t < origin + 30 * second;) {
      const auto raw = static_cast<std::int64_t>(1e6 * watts(static_cast<double>(t - origin) * 1e-9));
      ticks.push_back({t, t + 5000, {Reading{raw, Quality::ok}}});
      if (t >= begin && t < end) nominal_sum += static_cast<double>(raw) * 1e-6 * static_cast<double>(nominal) * 1e-9;
      t += nominal + static_cast<std::int64_t>(random() % (6 * millisecond));  // late by up to 6 ms, every time
      if (random() % 400 == 0) t += 300 * millisecond;                         // and now and then away
    }
    const auto ledger = ledger_of(power_gauge(), ticks, {span(1, SpanKind::run, "run", begin, end)});
    const double truth = joules(29) - joules(1);
    ASSERT_TRUE(ledger.energy[0].gross) << seed;
    EXPECT_NEAR(ledger.energy[0].gross->value / truth, 1, 0.005) << seed;
    EXPECT_LE(ledger.energy[0].gross->low, truth) << seed;
    EXPECT_GE(ledger.energy[0].gross->high, truth) << seed;
    EXPECT_LT(nominal_sum / truth, 0.8) << seed;
  }
}

// Kills: one window = one reading = 0 J, and joules that hang on how far readings lie apart.
TEST(Sampling, ACounterReadTwiceHasTheJoulesBetweenAndReadingsAtAnyDistanceChangeNothing) {
  const Power power{{origin}, {25}};
  const Source source = counter_of(power, millisecond, 0);
  const auto read_at = [&](std::vector<std::int64_t> at_ms) {
    std::vector<Tick> ticks;
    for (const std::int64_t ms : at_ms) {
      const std::int64_t t = origin + ms * millisecond;
      ticks.push_back({t, t + 5000, {source(t)}});
    }
    return ledger_of(energy_counter(millisecond), ticks, {}).energy[0];
  };
  EXPECT_NEAR(read_at({0, 4000}).recorded.value, 100, 1e-5);
  EXPECT_NEAR(read_at({0, 1, 700, 701, 3999, 4000}).recorded.value, 100, 1e-5);
  EXPECT_NEAR(read_at({0, 3, 5, 2000, 2600, 2601, 2602, 4000}).recorded.value, 100, 1e-5);
}

// 3.87 W before and 4.66 W after, the drift that a published series of measurements hid by taking the first alone.
// Kills: an idle power without the doubt of its drift.
TEST(Sampling, AnIdlePowerThatDriftsIsFlaggedAndItsDoubtReachesFromTheOneToTheOther) {
  const auto read = [&](double before_w, double after_w) {
    const Power power{{origin, origin + 3 * second, origin + 13 * second}, {before_w, 9, after_w}};
    const auto gauge = [=](std::int64_t t) { return Reading{static_cast<std::int64_t>(1e6 * power(t)), Quality::ok}; };
    const std::vector<Span> spans{
        span(1, SpanKind::phase, std::string(phase::baseline_before), origin + second / 10, origin + 29 * second / 10),
        span(2, SpanKind::run, "run", origin + 3 * second, origin + 13 * second),
        span(3, SpanKind::phase, std::string(phase::baseline_after), origin + 131 * second / 10,
             origin + 159 * second / 10)};
    return ledger_of(power_gauge(), poll({gauge}, origin, origin + 16 * second, 10 * millisecond), spans).energy[0];
  };
  const ChannelLedger row = read(3.87, 4.66);
  ASSERT_TRUE(row.active);
  EXPECT_NEAR(row.active->value, 90 - 10 * (3.87 + 4.66) / 2, 0.1);
  EXPECT_LE(row.active->low, 90 - 46.6 + 0.01);
  EXPECT_GE(row.active->high, 90 - 38.7 - 0.01);
  ASSERT_TRUE(row.idle_before_w && row.idle_after_w);
  EXPECT_NEAR(*row.idle_before_w, 3.87, 1e-3);
  EXPECT_NEAR(*row.idle_after_w, 4.66, 1e-3);
  EXPECT_TRUE(row.idle_drifted);
  EXPECT_FALSE(read(3.87, 3.95).idle_drifted) << "two percent are no drift worth a word";
}

}  // namespace
}  // namespace prony
