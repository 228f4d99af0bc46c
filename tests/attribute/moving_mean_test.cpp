// Power that a driver shows as the mean of the last second, against curves whose joules are known: what windows' errors
// are with and without the means taken apart, and that the intervals hold. Seeds are fixed.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "campaign.hpp"
#include "rig.hpp"

namespace prony {
namespace {

using campaign::curve_time;
using rig::millisecond;
using rig::second;

// A gauge of milliwatts, polled as the NVIDIA sensor polls.
struct Meter {
  PowerCurve curve = PowerCurve::constant(Watts(0));
  std::int64_t mean_ns = second;      // over which it truly averages
  std::int64_t declared_ns = second;  // what its channel says
  std::int64_t update_ns = 100 * millisecond, phase_ns = 37 * millisecond;
  std::int64_t poll_ns = 20 * millisecond, late_ns = 2 * millisecond;
  std::int64_t length_ns = 20 * second;
  double counts_per_w = 1e3;
  std::int64_t hole_begin_ns = 0, hole_end_ns = 0;  // of failed reads
  std::vector<Interval> windows = {};

  [[nodiscard]] double truth_j(Interval window) const {
    return curve.joules(curve_time(window.begin), curve_time(window.end)).value();
  }
};

struct ToldByMeter {
  Interval window;
  double truth_j = 0, plain_j = 0;  // plain: the readings' own integral
  std::optional<Estimate> gross;
};

Interval window_of(double from_s, double to_s) {
  return {Instant{rig::origin + static_cast<std::int64_t>(from_s * 1e9)},
          Instant{rig::origin + static_cast<std::int64_t>(to_s * 1e9)}};
}

std::vector<rig::Tick> poll_meter(const Meter& meter, std::uint64_t seed) {
  campaign::Dice dice(seed);
  GaugeView view{
      {Duration{meter.update_ns}, Duration{meter.phase_ns}, {}}, Duration{meter.mean_ns}, meter.counts_per_w};
  std::vector<rig::Tick> ticks;
  // From before the Run's window to after it, as the sampler does.
  for (std::int64_t due = -meter.poll_ns; due <= meter.length_ns + meter.poll_ns; due += meter.poll_ns) {
    const std::int64_t begin = rig::origin + due + dice.integer(0, meter.late_ns), end = begin + 20'000;
    const bool failed = due >= meter.hole_begin_ns && due < meter.hole_end_ns;
    Reading reading{view.raw(meter.curve, curve_time(Instant{begin + 10'000})), Quality::ok};
    if (failed) reading = {0, Quality::gap};
    ticks.push_back({begin, end, {reading}});
  }
  return ticks;
}

double plain_joules(const Meter& meter, const std::vector<rig::Tick>& ticks, Interval window) {
  double joules = 0;
  for (std::size_t i = 1; i < ticks.size(); ++i) {
    const double from = static_cast<double>(ticks[i - 1].begin), to = static_cast<double>(ticks[i].begin);
    const double begin = std::max(from, static_cast<double>(window.begin.ns));
    const double end = std::min(to, static_cast<double>(window.end.ns));
    if (end <= begin) continue;
    const double a = static_cast<double>(ticks[i - 1].readings[0].raw),
                 b = static_cast<double>(ticks[i].readings[0].raw);
    const double middle = ((begin + end) / 2 - from) / (to - from);
    joules += (a + (b - a) * middle) / meter.counts_per_w * (end - begin) * 1e-9;
  }
  return joules;
}

std::vector<ToldByMeter> measure_meter(const Meter& meter, std::uint64_t seed = 1) {
  rig::Recording run;
  const Group group{GroupId{1}, "fast", Duration{meter.poll_ns}, {ChannelId{1}}};
  Channel channel;
  channel.id = ChannelId{1};
  channel.name = "gpu.power-average";
  channel.domain = "gpu";
  channel.measure = Measure::power;
  channel.scale = 1 / meter.counts_per_w;
  channel.averaging_window = Duration{meter.declared_ns};
  run.spans.push_back(rig::span(1, SpanKind::run, "run", rig::origin, rig::origin + meter.length_ns));
  for (std::size_t i = 0; i < meter.windows.size(); ++i)
    run.spans.push_back(
        rig::span(i + 2, SpanKind::request, "r", meter.windows[i].begin.ns, meter.windows[i].end.ns, 1));
  Attribution attribution({&channel, 1}, {&group, 1}, run.spans);
  const auto ticks = poll_meter(meter, seed);
  for (const TickBlock& block : rig::in_blocks(group.id, ticks, 512)) attribution.push(block);
  const Ledger ledger = attribution.finish();
  std::vector<ToldByMeter> all;
  for (std::size_t i = 0; i < meter.windows.size(); ++i) {
    const Interval window = meter.windows[i];
    const SpanEnergy* energy = rig::span_energy(ledger, i + 2);
    all.push_back({window, meter.truth_j(window), plain_joules(meter, ticks, window),
                   energy != nullptr && energy->resolvable ? energy->gross : std::nullopt});
  }
  return all;
}

// Shapes of load: what inference does (idle, prompts of any length), and the simulated eight-GPU server's own curves.
std::string shape(std::size_t kind, campaign::Dice& dice) {
  const auto text = [](double value) { return std::to_string(value); };
  switch (kind) {
    case 0: return "constant:" + text(dice.uniform(30, 700));
    case 1: {
      const double swing = dice.uniform(10, 200);
      return "sine:" + text(swing + dice.uniform(20, 300)) + "," + text(swing) + "," + text(dice.log_uniform(0.3, 10)) +
             "," + text(dice.uniform(0, 1));
    }
    case 2: {
      constexpr std::array<const char*, 3> gpus{"square:240,640,1.7,0.6+noise:71,20,20,0.05",
                                                "square:90,420,0.37,0.3+noise:75,10,10,0.01",
                                                "square:90,300,0.9,0.5+noise:76,10,10,0.02"};
      return gpus[static_cast<std::size_t>(dice.integer(0, 2))];
    }
    case 3: {
      std::string steps = "steps:0=70";
      for (double t = dice.uniform(0.3, 5); t < 60; t += dice.uniform(0.3, 5)) {
        steps += "," + text(t) + "=" + text(dice.uniform(300, 700));
        t += dice.log_uniform(0.1, 6);
        steps += "," + text(t) + "=70";
      }
      return steps + ",repeat=80";
    }
    default: return "noise:" + std::to_string(dice.integer(1, 1000)) + ",300,200," + text(dice.log_uniform(0.02, 1));
  }
}
constexpr std::size_t shapes = 5;

struct Campaign {
  std::size_t windows = 0, told = 0, covered = 0;
  double squared_error = 0, squared_plain = 0, width_j = 0;
  void add(const ToldByMeter& one) {
    ++windows;
    if (!one.gross) return;
    ++told;
    covered += one.gross->low <= one.truth_j && one.truth_j <= one.gross->high ? 1 : 0;
    squared_error += (one.gross->value - one.truth_j) * (one.gross->value - one.truth_j);
    squared_plain += (one.plain_j - one.truth_j) * (one.plain_j - one.truth_j);
    width_j += one.gross->high - one.gross->low;
  }
  [[nodiscard]] double coverage() const { return static_cast<double>(covered) / static_cast<double>(told); }
  [[nodiscard]] double error_j() const { return std::sqrt(squared_error / static_cast<double>(told)); }
  [[nodiscard]] double plain_j() const { return std::sqrt(squared_plain / static_cast<double>(told)); }
  [[nodiscard]] std::string text() const {
    return std::to_string(told) + " of " + std::to_string(windows) + " windows told, error " +
           std::to_string(error_j()) + " J, of the plain integral " + std::to_string(plain_j()) + " J, covered " +
           std::to_string(coverage()) + ", mean width " + std::to_string(width_j / static_cast<double>(told)) + " J";
  }
};

std::array<Campaign, shapes> campaign_of(std::int64_t update_ns, std::uint64_t streams) {
  std::array<Campaign, shapes> all;
  for (std::size_t kind = 0; kind < shapes; ++kind)
    for (std::uint64_t seed = 1; seed <= streams; ++seed) {
      campaign::Dice dice(seed * 100 + kind);
      Meter meter;
      meter.curve = PowerCurve::parse(shape(kind, dice)).value();
      meter.update_ns = update_ns;
      meter.phase_ns = dice.integer(0, update_ns);
      meter.length_ns = dice.integer(5, 30) * second;
      for (int i = 0; i < 10; ++i) {
        const double length_s = static_cast<double>(meter.length_ns) * 1e-9;
        const double from_s = dice.uniform(0, length_s - 0.3);
        meter.windows.push_back(window_of(from_s, std::min(length_s, from_s + dice.log_uniform(0.2, 6))));
      }
      for (const ToldByMeter& told : measure_meter(meter, seed)) all[kind].add(told);
    }
  return all;
}

// Kills: the means' lag left in, or taken out twice; a window of twice the width; doubts of the two edges forgotten.
TEST(MovingMean, WindowsAreFiveTimesNearerToTheTruthThanTheReadingsIntegralAndTheIntervalsHold) {
  for (const std::int64_t update_ns : {100 * millisecond, 20 * millisecond}) {
    const auto all = campaign_of(update_ns, 30);
    Campaign sum;
    for (std::size_t kind = 0; kind < shapes; ++kind) {
      const Campaign& one = all[kind];
      EXPECT_GE(one.coverage(), 0.88) << kind << ": " << one.text();
      if (kind > 0) {
        EXPECT_LT(one.error_j(), one.plain_j() / 4) << kind << ": " << one.text();
      }
      sum.windows += one.windows, sum.told += one.told, sum.covered += one.covered;
      sum.squared_error += one.squared_error, sum.squared_plain += one.squared_plain, sum.width_j += one.width_j;
    }
    EXPECT_GE(sum.coverage(), 0.94) << sum.text();
    EXPECT_LT(sum.error_j(), sum.plain_j() / 5) << sum.text();
    RecordProperty("updates_every_" + std::to_string(update_ns / millisecond) + "_ms", sum.text());
  }
}

// Kills: doubts of readings that many windows share taken for independent ones. Windows begin and end where the load
// does, which is what a request's span is.
TEST(MovingMean, PromptsWhoseSpansBeginAndEndWithTheirLoadHaveTheirTrueJoulesInTheInterval) {
  Campaign all;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    campaign::Dice dice(seed);
    Meter meter;
    meter.phase_ns = dice.integer(0, meter.update_ns);
    std::string steps = "noise:" + std::to_string(seed) + ",69,2,0.05+steps:0=0";
    for (double t = dice.uniform(1, 4); t < 18;) {
      const double length_s = dice.uniform(0.4, 3), power_w = dice.uniform(200, 600);
      steps += "," + std::to_string(1000 + t) + "=" + std::to_string(power_w);
      steps += "," + std::to_string(1000 + t + length_s) + "=0";
      if (t + length_s < 20) meter.windows.push_back(window_of(t, t + length_s));
      t += length_s + dice.uniform(0.2, 3);
    }
    meter.curve = PowerCurve::parse(steps).value();
    for (const ToldByMeter& told : measure_meter(meter, seed)) all.add(told);
  }
  RecordProperty("all", all.text());
  EXPECT_GE(all.coverage(), 0.93) << all.text();
  EXPECT_GT(all.told, all.windows * 8 / 10) << all.text();
  EXPECT_LT(all.error_j(), all.plain_j() / 8) << all.text();
}

// One prompt of 2 s between idle stretches: its power is known around it, so that nothing is left open.
Meter one_prompt() {
  Meter meter;
  // The curve's own time runs a thousand seconds ahead.
  meter.curve = PowerCurve::parse("noise:5,69,1,0.05+steps:0=0,1010=530,1012=0").value();
  meter.windows = {window_of(10, 12), window_of(7, 9.5), window_of(10.5, 11.5)};
  return meter;
}

// Kills: the means' lag of half a window taken out in the wrong direction, or not at all (265 J each).
TEST(MovingMean, APromptBetweenIdleStretchesHasItsOwnJoulesAndNotThoseOfTheSecondBefore) {
  const auto told = measure_meter(one_prompt());
  for (const ToldByMeter& one : told) {
    ASSERT_TRUE(one.gross);
    EXPECT_NEAR(one.gross->value, one.truth_j, 30) << one.window.begin.ns;  // 60 ms of its power
    EXPECT_LE(one.gross->low, one.truth_j);
    EXPECT_GE(one.gross->high, one.truth_j);
    EXPECT_EQ(one.gross->kind, EstimateKind::interval_95);
  }
  EXPECT_GT(std::abs(told[0].plain_j - told[0].truth_j), 200);  // what the readings' integral makes of it
}

// Kills: a width of the mean that is twice, or half, what the channel says. What the wrong one does is shown beside.
TEST(MovingMean, AMeanOfAnotherLengthIsTakenApartWithItsOwnLength) {
  Meter meter = one_prompt();
  meter.mean_ns = meter.declared_ns = 2 * second;
  const ToldByMeter right = measure_meter(meter)[0];
  ASSERT_TRUE(right.gross);
  EXPECT_NEAR(right.gross->value, right.truth_j, 30);
  meter.declared_ns = second;
  const ToldByMeter wrong = measure_meter(meter)[0];
  const double value = wrong.gross ? wrong.gross->value : 0;
  EXPECT_GT(std::abs(value - wrong.truth_j), 50);
}

// Kills: a recursion over all windows since the beginning, whose errors add up: readings of whole watts, an hour long.
TEST(MovingMean, NoiseOfTheReadingsDoesNotGrowWithTheTimeSinceTheRecordingBegan) {
  Meter meter;
  meter.curve = PowerCurve::parse("noise:9,300,200,0.3").value();
  meter.counts_per_w = 1;
  meter.length_ns = 1800 * second;
  meter.poll_ns = meter.update_ns = 100 * millisecond;
  for (const double at : {15.0, 1750.0})
    for (int i = 0; i < 10; ++i) meter.windows.push_back(window_of(at + 2 * i, at + 2 * i + 4));
  const auto told = measure_meter(meter);
  double early_j = 0, late_j = 0;
  for (std::size_t i = 0; i < told.size(); ++i) {
    ASSERT_TRUE(told[i].gross);
    (i < 10 ? early_j : late_j) += told[i].gross->high - told[i].gross->low;
    EXPECT_NEAR(told[i].gross->value, told[i].truth_j, 60);
  }
  EXPECT_LT(late_j, 2 * early_j);
}

// Kills: blocks of a second, one after the other, taken apart as if they moved.
TEST(MovingMean, MeansThatAreRenewedOnceInTheirWindowStayAsTheyAre) {
  Meter meter = one_prompt();
  meter.update_ns = second;
  const ToldByMeter told = measure_meter(meter)[0];
  if (told.gross) {
    EXPECT_LE(told.gross->low, told.truth_j);
    EXPECT_GE(told.gross->high, told.truth_j);
    EXPECT_NEAR(told.gross->value, told.plain_j, 12);
  }
}

// Kills: the doubt of a hole forgotten because its two sides are well known.
TEST(MovingMean, AHoleInTheReadingsWidensTheWindowsThatHoldItAndNoOthers) {
  Meter meter = one_prompt();
  meter.hole_begin_ns = 10'900 * millisecond, meter.hole_end_ns = 11'500 * millisecond;
  meter.windows = {window_of(4, 16), window_of(14, 17), window_of(4, 8)};
  const auto told = measure_meter(meter);
  ASSERT_TRUE(told[0].gross && told[1].gross && told[2].gross);
  EXPECT_GT(told[0].gross->high - told[0].gross->low, 300);  // 0.6 s of which nothing is known
  for (const ToldByMeter& one : told) {
    EXPECT_LE(one.gross->low, one.truth_j);
    EXPECT_GE(one.gross->high, one.truth_j);
  }
  for (const std::size_t beside : {1U, 2U}) EXPECT_LT(told[beside].gross->high - told[beside].gross->low, 40);
}

// Where neighbours say nothing of what ran inside, no number that pretends to.
TEST(MovingMean, AWindowOfWhichTheMeansTellNothingIsNotTold) {
  Meter meter;
  meter.curve = PowerCurve::parse("noise:9,300,290,0.1").value();
  for (int i = 0; i < 20; ++i) meter.windows.push_back(window_of(1 + 0.9 * i, 1.02 + 0.9 * i));  // 20 ms
  for (const ToldByMeter& told : measure_meter(meter)) EXPECT_FALSE(told.gross) << told.window.begin.ns;
}

}  // namespace
}  // namespace prony
