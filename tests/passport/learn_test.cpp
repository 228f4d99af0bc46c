// Each stream is made with a known truth; each test names the plausible bug that it kills.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stream.hpp"

namespace prony::passport {
namespace {

using test::Random;
using ::testing::HasSubstr;

constexpr std::int64_t second = 1'000'000'000;
const LearnContext probed{"2026-11-21T00:00:00.000Z", "probe", "boot", true, {}};

double period_of(const ChannelPassport& p) { return p.update_period ? static_cast<double>(p.update_period->ns) : -1; }

std::string reason(const ChannelPassport& p, const char* field) {
  const auto* why = p.why_absent(field);
  return why == nullptr ? "" : *why;
}

// A counter that adds `watts` with 5 % of noise per update, told in µJ of a 61.035 µJ step.
std::vector<std::int64_t> energies(std::size_t updates, double period_ns, double watts, Random& random) {
  std::vector<std::int64_t> values;
  double joules = 17;
  constexpr double step = 1.0 / 16384;
  for (std::size_t k = 0; k < updates; ++k) {
    values.push_back(static_cast<std::int64_t>(std::floor(joules / step) * step * 1e6));
    joules += watts * period_ns * 1e-9 * (1 + 0.05 * random.normal());
  }
  return values;
}

// Kills: counting polls instead of timing transitions (which says 5 or 4 polls: 6.75 or 5.4 ms).
TEST(Learn, AnUpdateOf6point6MillisecondsReadEvery1point35ComesOutWithinFivePercent) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    const auto updates = test::grid(6.6e6, 0, second, random);
    const auto stream = test::read(
        updates, [](std::size_t k) { return static_cast<std::int64_t>(40'000 + (k * 7919) % 300); }, 1'350'000, 0.02,
        second, random);
    const auto p = learn_channel(test::power_gauge(), stream.ticks(), probed);
    EXPECT_NEAR(period_of(p), 6.6e6, 0.05 * 6.6e6) << seed;
    ASSERT_TRUE(p.period_spread);
    EXPECT_LE(std::abs(period_of(p) - 6.6e6), 3 * static_cast<double>(p.period_spread->ns)) << seed;
  }
}

// Kills: the scatter of transitions taken for all the doubt there is: where reads keep step with the updates, there is
// none.
TEST(Learn, ReadsInStepWithTheUpdatesDoNotMakeThePeriodLookExact) {
  for (const double off_ns : {3'000.0, -7'000.0, 11'000.0}) {
    Random random(1);
    const double period = 100e6 + off_ns;
    const auto updates = test::grid(period, 0, 5 * second, random);
    const auto values = energies(updates.size(), period, 22, random);
    const auto stream =
        test::read(updates, [&](std::size_t k) { return values[k]; }, 10'000'000, 0, 5 * second, random);
    const auto p = learn_channel(test::counter(), stream.ticks(), probed);
    ASSERT_TRUE(p.update_period && p.period_spread);
    EXPECT_LE(std::abs(period_of(p) - period), static_cast<double>(p.period_spread->ns));
    EXPECT_LT(static_cast<double>(p.period_spread->ns), 0.01 * period);
  }
}

// Kills: a phase that is off by half a period or by the read's length; a grid that is not seen because of jitter.
TEST(Learn, AJitteredMillisecondCounterHasItsPeriodPhaseAndJitter) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    const double period = 982'000;
    const auto updates = test::grid(period, 25'000, second / 5, random);
    const auto values = energies(updates.size(), period, 22, random);
    const auto stream = test::read(updates, [&](std::size_t k) { return values[k]; }, 50'000, 0.3, second / 5, random);
    const auto p = learn_channel(test::counter(), stream.ticks(), probed);
    EXPECT_NEAR(period_of(p), period, 0.002 * period) << seed;
    ASSERT_TRUE(p.phase) << seed << reason(p, "phase");
    const double off = std::remainder(static_cast<double>(p.phase->ns - test::start_ns) - 0.37 * period, period);
    EXPECT_LT(std::abs(off), 0.03 * period) << seed;
    EXPECT_LT(p.phase_doubt->ns, 100'000) << seed;
    ASSERT_TRUE(p.jitter) << seed;
    EXPECT_NEAR(static_cast<double>(p.jitter->ns), 25'000, 10'000) << seed;
    ASSERT_TRUE(p.step) << reason(p, "step");
    EXPECT_NEAR(*p.step, 61.035e-6, 0.1e-6) << seed;
    EXPECT_EQ(p.unit, "J");
    EXPECT_EQ(p.read_cost, Duration{600});
  }
}

// Kills: a phase claimed for a source that sleeps between updates, whose grid exists in the fit only.
TEST(Learn, ASourceThatWandersHasAPeriodAndNoPhase) {
  int without_phase = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    std::vector<std::int64_t> updates;
    for (double t = 0; t < 2e9; t += 10e6 * (1 + 0.04 * random.normal()))
      updates.push_back(test::start_ns + static_cast<std::int64_t>(t));
    const auto stream = test::read(
        updates, [](std::size_t k) { return static_cast<std::int64_t>((k * 7919) % 500); }, 200'000, 0.1, 2 * second,
        random);
    const auto p = learn_channel(test::power_gauge(), stream.ticks(), probed);
    EXPECT_NEAR(period_of(p), 10e6, 0.02 * 10e6) << seed;
    without_phase += p.phase ? 0 : 1;
  }
  EXPECT_GE(without_phase, 18);
}

// Kills: taking the poll interval for the update period.
TEST(Learn, ASourceThatRenewsFasterThanItIsReadIsNotResolved) {
  for (const double period : {1e6, 9.7e6, 6e6, 4e6}) {
    Random random(3);
    const auto updates = test::grid(period, 0, 4 * second, random);
    const auto values = energies(updates.size(), period, 30, random);
    const auto stream =
        test::read(updates, [&](std::size_t k) { return values[k]; }, 10'000'000, 0.01, 4 * second, random);
    const auto p = learn_channel(test::counter(), stream.ticks(), probed);
    EXPECT_FALSE(p.update_period) << period;
    ASSERT_TRUE(p.faster_than) << period;
    EXPECT_LT(p.faster_than->ns, 11'000'000);
    EXPECT_THAT(reason(p, "update_period"), HasSubstr("not resolved"));
    EXPECT_FALSE(p.noise_rms);
  }
}

// Kills: the shortest distance seen taken for the period, where single updates changed nothing.
TEST(Learn, UpdatesThatChangeNothingDoNotLengthenThePeriod) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Random random(seed);
    const auto updates = test::grid(1e6, 5'000, second, random);
    // 0.02 W in steps of 61 µJ: a change every third or fourth update.
    std::vector<std::int64_t> values;
    double uj = 0;
    for (std::size_t k = 0; k < updates.size(); ++k, uj += 18)
      values.push_back(static_cast<std::int64_t>(std::floor(uj / 61) * 61));
    const auto stream = test::read(updates, [&](std::size_t k) { return values[k]; }, 40'000, 0.3, second, random);
    const auto p = learn_channel(test::counter(), stream.ticks(), probed);
    EXPECT_NEAR(period_of(p), 1e6, 0.01e6) << seed << reason(p, "update_period");
  }
}

TEST(Learn, ReadsThatWereInterruptedDoNotSpoilThePeriod) {
  Random random(5);
  const auto updates = test::grid(1e6, 10'000, second, random);
  const auto values = energies(updates.size(), 1e6, 15, random);
  const auto all = test::read(updates, [&](std::size_t k) { return values[k]; }, 60'000, 0.3, second, random);
  test::Stream holes;
  for (std::size_t i = 0; i < all.raw.size(); ++i) {
    if (i % 700 > 620) continue;  // 4.8 ms without the CPU, ever again
    holes.add(all.begin[i], i % 97 == 0 ? 3'000'000 : 600, all.raw[i], i % 131 == 0 ? Quality::gap : Quality::ok);
  }
  const auto p = learn_channel(test::counter(), holes.ticks(), probed);
  EXPECT_NEAR(period_of(p), 1e6, 0.01e6);
  EXPECT_GT(p.gaps, 0U);
  EXPECT_THAT(p.notes.front(), HasSubstr("reads gave nothing"));
}

// Kills: the counter's wrap taken for a change of minus a whole range, a restart taken for an update.
TEST(Learn, AWrapIsAnUpdateAndARestartIsNot) {
  Random random(6);
  auto channel = test::counter();
  channel.range = 1'000'000;
  channel.max_rate = 100;
  const auto updates = test::grid(1e6, 0, second, random);
  const auto stream = test::read(
      updates, [&](std::size_t k) { return static_cast<std::int64_t>((k * 20'000 + (k * k) % 900) % 1'000'000); },
      100'000, 0, second, random);
  const auto wrapped = find_transitions(channel, stream.ticks());
  EXPECT_EQ(wrapped.resets, 0U);
  for (const auto& one : wrapped.list) EXPECT_GT(one.counts, 0);
  channel.range = 0;
  EXPECT_GT(find_transitions(channel, stream.ticks()).resets, 10U);
}

TEST(Learn, ASourceThatNeverChangesTeachesThatItNeverDid) {
  test::Stream stream;
  for (int i = 0; i < 1000; ++i) stream.add(test::start_ns + i * 100'000, 500, 42);
  const auto p = learn_channel(test::power_gauge(), stream.ticks(), probed);
  EXPECT_FALSE(p.update_period || p.faster_than || p.step || p.noise_rms || p.phase || p.jitter);
  EXPECT_THAT(reason(p, "update_period"), HasSubstr("no change seen"));
  for (const char* field : {"phase", "jitter", "step", "noise_rms", "averaging_window", "slows_others"})
    EXPECT_FALSE(reason(p, field).empty()) << field;
}

TEST(Learn, NothingAtAllTeachesNothingAndBreaksNothing) {
  const auto empty = learn_channel(test::counter(), {}, probed);
  EXPECT_FALSE(empty.update_period || empty.read_cost);
  test::Stream gaps;
  for (int i = 0; i < 50; ++i) gaps.add(test::start_ns + i, 1, 0, Quality::gap);
  EXPECT_EQ(learn_channel(test::counter(), gaps.ticks(), probed).gaps, 50U);
  test::Stream wild;  // rubbish of every size, and a clock that stands still
  Random random(9);
  for (int i = 0; i < 500; ++i) wild.add(test::start_ns, 0, static_cast<std::int64_t>(random.next()));
  (void)learn_channel(test::power_gauge(), wild.ticks(), probed);
  (void)learn_channel(test::counter(), wild.ticks(), probed);
}

// Kills: the noise of single reads halved or doubled (the 2 under the root), and load steps taken for noise.
TEST(Learn, TheNoiseOfAGaugeIsItsOwnAndNotTheLoads) {
  Random random(11);
  const auto updates = test::grid(2e6, 0, 4 * second, random);
  std::vector<std::int64_t> values;
  for (std::size_t k = 0; k < updates.size(); ++k)
    values.push_back(
        static_cast<std::int64_t>(std::llround(30'000 + (k / 400 % 2 == 0 ? 0 : 20'000) + 120 * random.normal())));
  const auto stream = test::read(updates, [&](std::size_t k) { return values[k]; }, 150'000, 0.2, 4 * second, random);
  const auto p = learn_channel(test::power_gauge(), stream.ticks(), probed);
  ASSERT_TRUE(p.noise_rms);
  EXPECT_NEAR(*p.noise_rms, 0.120, 0.010);
}

TEST(Step, IsFoundThroughRoundingAndRubbish) {
  Random random(12);
  for (const double truth : {61.03515625, 15.2587890625, 125.0, 1000.0, 7.0, 1.0}) {
    std::vector<Transition> list;
    std::int64_t before = 0;
    double exact = 0;
    for (int i = 0; i < 400; ++i) {
      exact += truth * (40 + static_cast<double>(random.next() % 60));
      const auto now = static_cast<std::int64_t>(std::floor(exact));
      list.push_back({0, 0, 0, static_cast<double>(now - before)});
      before = now;
    }
    list[100].counts = 123'456'789;
    const auto fit = fit_step(list);
    ASSERT_TRUE(fit.counts) << truth << fit.why_not;
    EXPECT_NEAR(*fit.counts, truth, 0.01 * truth) << truth;
  }
}

// 150 mJ an update in steps of 61 µJ, forty updates: no two changes lie less than many steps apart.
TEST(Step, OfChangesManyStepsLongIsFoundOrNotToldButNeverWrong) {
  int found = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    std::vector<Transition> list;
    std::int64_t before = 0;
    double exact = 0;
    for (int i = 0; i < 40; ++i) {
      exact += 61.03515625 * (2400 + static_cast<double>(random.next() % 200));
      const auto now = static_cast<std::int64_t>(std::floor(exact));
      list.push_back({0, 0, 0, static_cast<double>(now - before)});
      before = now;
    }
    const auto fit = fit_step(list);
    if (!fit.counts) continue;
    ++found;
    EXPECT_NEAR(*fit.counts, 61.035, 0.05 * 61.035) << seed;
  }
  EXPECT_GE(found, 15);
}

// Noise that has no step beyond the count itself.
TEST(Step, OfFineNoiseIsOneCount) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    std::vector<Transition> list;
    for (int i = 0; i < 200; ++i) list.push_back({0, 0, 0, std::round(20'000 + 3000 * random.normal())});
    const auto fit = fit_step(list);
    if (fit.counts) {
      EXPECT_EQ(*fit.counts, 1.0) << seed;
    }
  }
}

// Kills: the increment of steady power taken for the step.
TEST(Step, OfEqualChangesIsNotTold) {
  const std::vector<Transition> list(200, {0, 0, 0, 20'000});
  const auto fit = fit_step(list);
  EXPECT_FALSE(fit.counts);
  EXPECT_THAT(fit.why_not, HasSubstr("may be finer"));
}

// A power gauge that averages over `window` updates, of a load that leaps from 10 to 40 W and back.
test::Stream averaged(std::size_t window, double forget, Random& random) {
  const auto updates = test::grid(10e6, 0, 8 * second, random);
  std::vector<double> load(updates.size());
  for (std::size_t k = 0; k < load.size(); ++k) load[k] = k / 200 % 2 == 0 ? 10'000 : 40'000;
  std::vector<std::int64_t> values;
  double kept = 10'000;
  for (std::size_t k = 0; k < load.size(); ++k) {
    double sum = 0;
    for (std::size_t i = 0; i < window; ++i) sum += k >= i ? load[k - i] : load[0];
    kept += forget * (load[k] - kept);
    const double shown = forget > 0 ? kept : sum / static_cast<double>(window);
    values.push_back(static_cast<std::int64_t>(std::llround(shown + 20 * random.normal())));
  }
  return test::read(updates, [values](std::size_t k) { return values[k]; }, 500'000, 0.1, 8 * second, random);
}

std::vector<Instant> leaps() {
  std::vector<Instant> at;
  for (int i = 1; i < 4; ++i) at.push_back({test::start_ns + i * 2 * second});
  return at;
}

// Kills: the ramp's number of changes taken for its length (one more than the window), 10–90 % taken for all of it.
TEST(Window, OfABoxcarIsTheLengthOfItsRamp) {
  for (const std::size_t window : {10U, 50U, 100U}) {
    Random random(window);
    const auto stream = averaged(window, 0, random);
    auto context = probed;
    context.load_steps = leaps();
    const auto p = learn_channel(test::power_gauge(), stream.ticks(), context);
    ASSERT_TRUE(p.averaging_window) << window << reason(p, "averaging_window");
    EXPECT_NEAR(static_cast<double>(p.averaging_window->ns), static_cast<double>(window) * 10e6,
                0.1 * static_cast<double>(window) * 10e6);
    EXPECT_THAT(p.averaging_how, HasSubstr("ramp"));
  }
}

TEST(Window, IsNotToldOfASourceThatDoesNotAverageOrForgetsSlowly) {
  Random random(4);
  auto context = probed;
  context.load_steps = leaps();
  const auto sudden = averaged(1, 0, random);
  const auto at_once = learn_channel(test::power_gauge(), sudden.ticks(), context);
  EXPECT_FALSE(at_once.averaging_window);
  EXPECT_THAT(reason(at_once, "averaging_window"), HasSubstr("no longer than that"));
  const auto slow = averaged(1, 0.05, random);
  const auto curved = learn_channel(test::power_gauge(), slow.ticks(), context);
  EXPECT_FALSE(curved.averaging_window);
  EXPECT_THAT(reason(curved, "averaging_window"), HasSubstr("no straight ramp"));
}

}  // namespace
}  // namespace prony::passport
