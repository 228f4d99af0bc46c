// The truth about energy between two instants, seen through a counter.
#include <gtest/gtest.h>

#include "rig.hpp"

namespace prony {
namespace {

using namespace rig;

struct EdgeOutcome {
  double truth = 0;
  Estimate gross;
  bool resolvable = false;
  double plain = 0;  // differences of the readings nearest before the edges
};

// Many windows on one recording of a counter.
std::vector<EdgeOutcome> measure_edges(const Power& power, std::int64_t period, std::int64_t phase,
                                       std::int64_t interval, std::int64_t length, const std::vector<Interval>& windows,
                                       std::int64_t documented, std::uint64_t range = 0) {
  Recording run;
  Group group{GroupId{1}, "fast", Duration{interval}, {}};
  std::vector<Source> sources;
  Channel channel = energy_counter(documented);
  channel.range = range;
  const Source source = counter_of(power, period, phase, range, range > 0 ? range - 2'000'000 : 0);
  run.add(group, sources, channel, source);
  std::uint64_t id = 1;
  run.spans.push_back(span(id, SpanKind::run, "run", origin, origin + length));
  for (const Interval& window : windows)
    run.spans.push_back(span(++id, SpanKind::request, "r", window.begin.ns, window.end.ns, 1));
  run.groups.push_back(group);
  Attribution attribution(run.channels, run.groups, run.spans);
  for (const TickBlock& block : in_blocks(GroupId{1}, poll(sources, origin, origin + length, interval), 512))
    attribution.push(block);
  const Ledger ledger = attribution.finish();
  std::vector<EdgeOutcome> outcomes;
  for (std::size_t i = 0; i < windows.size(); ++i) {
    const auto* energy = span_energy(ledger, i + 2);
    EdgeOutcome outcome;
    outcome.truth = power.energy(windows[i].end.ns) - power.energy(windows[i].begin.ns);
    outcome.resolvable = energy != nullptr && energy->resolvable;
    if (outcome.resolvable) outcome.gross = *energy->gross;
    const auto plain = [&](std::int64_t t) {
      return static_cast<double>(source(origin + (t - origin) / interval * interval).raw) * 1e-6;
    };
    outcome.plain = plain(windows[i].end.ns) - plain(windows[i].begin.ns);
    outcomes.push_back(outcome);
  }
  return outcomes;
}

std::vector<Interval> random_windows(std::mt19937_64& random, std::int64_t length, std::size_t count,
                                     std::int64_t shortest) {
  std::vector<Interval> windows;
  std::uniform_int_distribution<std::int64_t> at(origin + 1, origin + length - 1);
  while (windows.size() < count) {
    const std::int64_t a = at(random), b = at(random);
    if (std::abs(a - b) >= shortest) windows.push_back({Instant{std::min(a, b)}, Instant{std::max(a, b)}});
  }
  return windows;
}

// Kills: an upper bound taken from the wrong transition, a lower bound from a poll that had not ended yet, a wrap that
// shifts a bound, a hold in idle time that is treated as certain.
TEST(CounterEdges, TheTruthIsAlwaysBetweenLowAndHighForAnyPowerPeriodAndPollingRate) {
  std::mt19937_64 random(20261121);
  std::size_t cases = 0, resolvable = 0;
  for (int round = 0; round < 60; ++round) {
    const std::int64_t length = 4 * second;
    const Power power = random_power(random, length, round % 3 == 0 ? 0 : 5);
    const std::int64_t period =
        std::array<std::int64_t, 4>{983'000, 10 * millisecond, 100 * millisecond, 21 * millisecond}[random() % 4];
    const std::int64_t interval =
        std::array<std::int64_t, 3>{millisecond, 3 * millisecond, 20 * millisecond}[random() % 3];
    const std::int64_t documented = std::array<std::int64_t, 3>{0, period, period / 2}[random() % 3];
    const auto windows = random_windows(random, length, 60, millisecond);
    const auto phase = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(period));
    for (const EdgeOutcome& outcome : measure_edges(power, period, phase, interval, length, windows, documented,
                                                    round % 2 == 0 ? 65'536'000'000 : 0)) {
      ++cases;
      if (!outcome.resolvable) continue;
      ++resolvable;
      ASSERT_GE(outcome.truth, outcome.gross.low - 1e-9)
          << "round " << round << " period " << period << " interval " << interval;
      ASSERT_LE(outcome.truth, outcome.gross.high + 1e-9)
          << "round " << round << " period " << period << " interval " << interval;
      ASSERT_GE(outcome.gross.value, outcome.gross.low);
      ASSERT_LE(outcome.gross.value, outcome.gross.high);
    }
  }
  EXPECT_GE(cases, 2000u);
  EXPECT_GE(resolvable, 2000u);
}

// Kills: the first reading taken for a transition. What it shows may be as old as a period: before it was read the
// curve may already have been above it.
TEST(CounterEdges, AWindowThatBeginsBeforeTheFirstReadingIsBoundedByTheFirstTransitionAndNotByThatReading) {
  const std::int64_t length = 4 * second, period = 100 * millisecond;
  Power power;
  power.watts = {400};
  for (std::int64_t late = 5; late < 100; late += 10) {
    Recording run;
    Group group{GroupId{1}, "blocking", Duration{20 * millisecond}, {}};
    std::vector<Source> sources;
    run.add(group, sources, energy_counter(0), counter_of(power, period, 0));
    const std::int64_t first = origin + second + late * millisecond;
    run.spans.push_back(span(1, SpanKind::run, "run", first - late * millisecond / 2,
                             origin + 3 * second + 23 * millisecond));  // soon after an update
    run.groups.push_back(group);
    Attribution attribution(run.channels, run.groups, run.spans);
    for (const TickBlock& block : in_blocks(GroupId{1}, poll(sources, first, origin + length, 20 * millisecond), 512))
      attribution.push(block);
    const Ledger ledger = attribution.finish();
    const auto& gross = ledger.energy.front().gross;
    ASSERT_TRUE(gross);
    const double truth = 400 * static_cast<double>(ledger.window.length().ns) * 1e-9;
    EXPECT_LE(gross->low, truth + 1e-9) << late;
    EXPECT_GE(gross->high, truth - 1e-9) << late;
  }
}

// Kills: edges placed at the polls, no interpolation at all.
TEST(CounterEdges, InterpolatedEdgesBeatPlainDifferencesFivefoldWhenPolledTenTimesFasterThanTheUpdates) {
  std::mt19937_64 random(7);
  std::vector<double> ours, plain;
  for (int round = 0; round < 10; ++round) {
    Power power = random_power(random, 5 * second, 40, 60);
    power.at.resize(2), power.watts.resize(2);
    for (const EdgeOutcome& outcome :
         measure_edges(power, 50 * millisecond, 17 * millisecond, 2 * millisecond, 5 * second,
                       random_windows(random, 5 * second - 200 * millisecond, 50, second), 50 * millisecond)) {
      ASSERT_TRUE(outcome.resolvable);
      ours.push_back(std::abs(outcome.gross.value - outcome.truth));
      plain.push_back(std::abs(outcome.plain - outcome.truth));
    }
  }
  std::ranges::sort(ours);
  std::ranges::sort(plain);
  const std::size_t p95 = ours.size() * 95 / 100;
  RecordProperty("p95_interpolated_uj", static_cast<int>(ours[p95] * 1e6));
  RecordProperty("p95_plain_uj", static_cast<int>(plain[p95] * 1e6));
  EXPECT_LT(5 * ours[p95], plain[p95]) << ours[p95] << " J against " << plain[p95] << " J";
}

// Kills: a bias of half a poll or half an update at one edge.
TEST(CounterEdges, WindowsOfFiveHundredUpdatesAreWithinHalfAPercent) {
  std::mt19937_64 random(11);
  for (const std::int64_t interval : {millisecond / 2, millisecond, 10 * millisecond}) {
    for (int round = 0; round < 6; ++round) {
      const Power power = random_power(random, 4 * second, 10, 90);
      for (const EdgeOutcome& outcome :
           measure_edges(power, millisecond, 300'000, interval, 4 * second,
                         random_windows(random, 4 * second, 30, 2 * second), millisecond)) {
        ASSERT_TRUE(outcome.resolvable);
        EXPECT_NEAR(outcome.gross.value, outcome.truth, 0.005 * outcome.truth) << "interval " << interval;
        EXPECT_EQ(outcome.gross.kind, EstimateKind::bound);
      }
    }
  }
}

// Kills: a number for what the sensor cannot see.
TEST(CounterEdges, AWindowShorterThanTheUpdatesIsNotResolvableAndSaysHowLongItWouldHaveToBe) {
  Power power;
  Recording run;
  Group group{GroupId{1}, "fast", Duration{millisecond}, {}};
  std::vector<Source> sources;
  run.add(group, sources, energy_counter(100 * millisecond), counter_of(power, 100 * millisecond, 0));
  run.groups.push_back(group);
  run.spans = {span(1, SpanKind::run, "run", origin + second, origin + 9 * second),
               span(2, SpanKind::request, "short", origin + 2 * second, origin + 2 * second + 120 * millisecond, 1),
               span(3, SpanKind::request, "long", origin + 3 * second, origin + 6 * second, 1)};
  Attribution attribution(run.channels, run.groups, run.spans);
  for (const auto& block : in_blocks(GroupId{1}, poll(sources, origin, origin + 10 * second, millisecond), 4096))
    attribution.push(block);
  const Ledger ledger = attribution.finish();
  const auto* brief = span_energy(ledger, 2);
  ASSERT_NE(brief, nullptr);
  EXPECT_FALSE(brief->resolvable);
  EXPECT_FALSE(brief->gross);
  EXPECT_FALSE(brief->charged);
  ASSERT_TRUE(brief->needed_s);
  EXPECT_GT(*brief->needed_s, 0.2);
  EXPECT_LT(*brief->needed_s, 1.0);
  EXPECT_TRUE(span_energy(ledger, 3)->resolvable);
}

}  // namespace
}  // namespace prony
