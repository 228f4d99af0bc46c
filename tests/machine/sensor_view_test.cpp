#include "machine/sensor_view.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <random>
#include <string>

#include "curves.hpp"

namespace prony {
namespace {

TEST(UpdateClock, JitterNeverReordersUpdatesAndStaysWithinItsLimit) {
  // The plausible bug: a jitter of more than half a period makes a counter go back.
  for (const std::int64_t jitter : {0LL, 100'000LL, 499'999LL, 5'000'000LL}) {
    const UpdateClock clock{.period = {ms}, .phase = {300'000}, .jitter = {jitter}, .seed = 5};
    Duration before = clock.update(-1001);
    for (std::int64_t k = -1000; k < 1000; ++k) {
      const auto now = clock.update(k);
      ASSERT_GT(now, before);
      ASSERT_LE(std::llabs(now.ns - (300'000 + k * ms)), std::min<std::int64_t>(jitter, 499'999));
      before = now;
    }
  }
}

TEST(UpdateClock, TheLastUpdateIsTheLatestOneThatIsNotInTheFuture) {
  const UpdateClock clock{.period = {ms}, .phase = {300'000}, .jitter = {450'000}, .seed = 9};
  std::mt19937_64 random(1);
  for (int n = 0; n < 5000; ++n) {
    const Duration t = {static_cast<std::int64_t>(random() % (2 * second)) - second};
    const auto last = clock.last(t);
    EXPECT_LE(last, t);
    std::int64_t near = (t.ns - 300'000) / ms - 3;
    Duration expected = clock.update(near);
    for (; near < (t.ns - 300'000) / ms + 4; ++near)
      if (clock.update(near) <= t) expected = clock.update(near);
    EXPECT_EQ(last, expected);
  }
  EXPECT_EQ(clock.last(clock.update(77)), clock.update(77));           // at the update it is there
  EXPECT_EQ(clock.last({clock.update(77).ns - 1}), clock.update(76));  // and not before
  EXPECT_EQ((UpdateClock{}.last({12345})), Duration{12345});           // no period: at every read
}

TEST(CounterView, ItStandsStillBetweenUpdatesAndThenShowsTheEnergyOfTheUpdate) {
  const CounterView view{.updates = {.period = {10 * ms}, .phase = {2 * ms}, .jitter = {}, .seed = 0}};
  const auto c = curve("constant:100");  // 100 µJ a microsecond
  EXPECT_EQ(view.raw(c, {2 * ms}), 200'000u);
  EXPECT_EQ(view.raw(c, {12 * ms - 1}), 200'000u);
  EXPECT_EQ(view.raw(c, {12 * ms}), 1'200'000u);
}

TEST(CounterView, ItsStepsAreWholeQuantaAsTheDriverShowsThem) {
  const CounterView view{.updates = {}, .quantum_j = 0x1p-14, .counts_per_quantum = 1e6 * 0x1p-14};
  const auto c = curve("constant:1");
  for (std::int64_t us = 0; us < 5000; us += 7) {
    const auto quanta = static_cast<std::uint64_t>(static_cast<double>(us) * 1e-6 * 16384);
    EXPECT_EQ(view.raw(c, {us * 1000}), static_cast<std::uint64_t>(static_cast<double>(quanta) * 61.03515625));
  }
}

// The plausible bugs: wrapping the microjoules instead of the register, and a range that is off by one quantum.
TEST(CounterView, WrapsUndoneItShowsTheTruthToOneQuantumForEveryUnit) {
  std::mt19937_64 random(99);
  for (const double quantum : {0x1p-14, 0x1p-16, 15.3e-6, 1e-6}) {
    for (const std::uint64_t wrap : {1ULL << 18, 1ULL << 22, 277'777ULL}) {
      const CounterView view{.updates = {.period = {ms}, .phase = {123'456}, .jitter = {90'000}, .seed = random()},
                             .quantum_j = quantum,
                             .counts_per_quantum = quantum * 1e6,
                             .wrap_quanta = wrap,
                             .start_quanta = random() % wrap};
      const auto c = curve("sine:30,20,0.7+noise:5,10,10,0.01");
      const double range = static_cast<double>(wrap) * quantum * 1e6;
      const auto from = static_cast<std::int64_t>(random() % second) + ms;
      double total = 0;
      auto before = view.raw(c, {from});
      int wraps = 0;
      for (auto t = from + ms; t <= from + 3 * second; t += ms) {
        const auto now = view.raw(c, {t});
        ASSERT_LE(now, view.largest_raw());
        total += static_cast<double>(now) - static_cast<double>(before) + (now < before ? range : 0);
        wraps += now < before;
        before = now;
      }
      const double truth = c.joules(view.updates.last({from}), view.updates.last({from + 3 * second})).value() * 1e6;
      EXPECT_NEAR(total, truth, quantum * 1e6 + 1) << quantum << " " << wrap;  // + the file's own rounding down
      EXPECT_GE(wraps, static_cast<int>(total / range)) << quantum << " " << wrap;
    }
  }
}

TEST(CounterView, TheRangeOfAnIntelCounterIsWhatItsFileSays) {
  const CounterView intel{
      .updates = {}, .quantum_j = 0x1p-14, .counts_per_quantum = 1e6 * 0x1p-14, .wrap_quanta = 1ULL << 32};
  EXPECT_EQ(intel.largest_raw(), 262'143'999'938u);
  EXPECT_EQ((CounterView{}.largest_raw()), 0u);
}

TEST(CounterView, BeforeTheCurvesZeroItCountsBackThroughTheWrap) {
  const CounterView view{.updates = {}, .quantum_j = 1e-6, .counts_per_quantum = 1, .wrap_quanta = 1000};
  EXPECT_EQ(view.raw(curve("constant:1"), {-999}), 999u);
}

// The plausible bug: the mean of two ends, or a window that lies around the update instead of before it.
TEST(GaugeView, ItShowsTheMeanOfItsWindowBeforeTheUpdate) {
  const auto c = curve("square:10,90,1");  // high for the first half second
  const GaugeView mean{.updates = {.period = {100 * ms}, .phase = {}, .jitter = {}, .seed = 0}, .window = {second / 4}};
  EXPECT_EQ(mean.raw(c, {500 * ms}), 90'000'000);
  EXPECT_EQ(mean.raw(c, {599 * ms}), 90'000'000);  // not renewed yet
  EXPECT_NEAR(static_cast<double>(mean.raw(c, {600 * ms})), (0.15 * 90 + 0.1 * 10) / 0.25 * 1e6, 1);
  const GaugeView now{
      .updates = {}, .window = {}, .counts_per_w = 1000, .offset_counts = 40'000, .quantum_counts = 500};
  EXPECT_EQ(now.raw(c, {100 * ms}), 130'000);
  EXPECT_EQ(now.raw(curve("constant:0.7"), {0}), 40'500);  // 40 700 in steps of 500, rounded down
}

TEST(GaugeView, ManyReadingsOfABoxcarMeanAddUpToTheTruth) {
  const auto c = curve("sine:30,20,0.7+noise:5,10,10,0.003");
  const GaugeView view{.updates = {.period = {100 * ms}, .phase = {}, .jitter = {}, .seed = 0}, .window = {100 * ms}};
  double sum_j = 0;
  for (int i = 1; i <= 50; ++i) sum_j += static_cast<double>(view.raw(c, {i * 100 * ms})) * 1e-6 * 0.1;
  EXPECT_NEAR(sum_j, c.joules({5 * second}).value().value(), 50 * 1e-7);
}

}  // namespace
}  // namespace prony
