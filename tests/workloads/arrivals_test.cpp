#include "workloads/arrivals.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "workloads/draw.hpp"

namespace prony {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::int64_t second_ns = 1'000'000'000;

Arrivals at_rate(double rate, const char* gaps) {
  Arrivals arrivals;
  arrivals.kind = Arrivals::Kind::rate;
  arrivals.rate_per_s = rate;
  EXPECT_TRUE(parse_gaps(gaps, arrivals));
  return arrivals;
}

std::vector<std::int64_t> times_of(const Arrivals& arrivals, std::optional<std::size_t> count,
                                   std::optional<std::int64_t> for_ns = {}, std::uint64_t seed = 1) {
  auto found = arrival_times_ns(arrivals, count, for_ns, seed);
  EXPECT_TRUE(found) << (found ? "" : found.error().what);
  return found ? *found : std::vector<std::int64_t>{};
}

struct Gaps {
  double mean_s = 0, variation = 0;  // coefficient of variation
};
Gaps gaps_of(const std::vector<std::int64_t>& at) {
  double sum = 0, squares = 0;
  for (std::size_t i = 1; i < at.size(); ++i) {
    const double gap = static_cast<double>(at[i] - at[i - 1]) * 1e-9;
    sum += gap;
    squares += gap * gap;
  }
  const auto n = static_cast<double>(at.size() - 1);
  return {sum / n, std::sqrt(squares / n - sum / n * sum / n) / (sum / n)};
}

TEST(Arrivals, AConstantRateHasItsRequestsOnTheGridToTheLastOfAMillion) {
  const auto at = times_of(at_rate(1000, "constant"), 1'000'000);
  EXPECT_EQ(at.front(), 0);
  EXPECT_EQ(at[1], second_ns / 1000);
  EXPECT_EQ(at.back(), 999'999 * (second_ns / 1000));  // a running sum of gaps would have drifted
}

TEST(Arrivals, PoissonGapsHaveTheMeanOfTheRateAndVaryAsMuchAsTheirMean) {
  const Gaps gaps = gaps_of(times_of(at_rate(50, "poisson"), 100'000));
  EXPECT_NEAR(gaps.mean_s, 0.02, 0.02 * 0.02);
  EXPECT_NEAR(gaps.variation, 1, 0.02);
}

TEST(Arrivals, InAPoissonLoadTheCountsOfSecondsVaryAsMuchAsTheirMean) {
  // A schedule of uniform gaps has the right mean and passes any test of the rate alone.
  const auto at = times_of(at_rate(20, "poisson"), {}, 2000 * second_ns);
  std::vector<double> counts(2000, 0);
  for (const std::int64_t t : at) counts[static_cast<std::size_t>(t / second_ns)] += 1;
  double mean = 0, variance = 0;
  for (const double c : counts) mean += c / 2000;
  for (const double c : counts) variance += (c - mean) * (c - mean) / 2000;
  EXPECT_NEAR(mean, 20, 0.4);
  EXPECT_NEAR(variance / mean, 1, 0.15);
}

TEST(Arrivals, GammaGapsVaryByOneOverTheRootOfTheirShape) {
  for (const double shape : {0.25, 0.5, 1.0, 4.0, 25.0}) {
    Arrivals arrivals = at_rate(10, "gamma:1");
    arrivals.burstiness = shape;
    const Gaps gaps = gaps_of(times_of(arrivals, 200'000));
    EXPECT_NEAR(gaps.mean_s, 0.1, 0.002) << shape;
    EXPECT_NEAR(gaps.variation * std::sqrt(shape), 1, 0.03) << shape;
  }
}

TEST(Arrivals, AGammaScheduleOfACountEndsWhereTheRateSays) {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    const auto at = times_of(at_rate(4, "gamma:0.3"), 40, {}, seed);
    EXPECT_EQ(at.back(), 10 * second_ns);
    EXPECT_EQ(at.size(), 40u);
  }
  // A Poisson process is not stretched: its end is drawn too.
  EXPECT_NE(times_of(at_rate(4, "poisson"), 40).back(), 10 * second_ns);
}

TEST(Arrivals, TimesNeverGoBackAndOneSeedGivesOneSchedule) {
  for (const char* gaps : {"constant", "poisson", "gamma:0.1", "gamma:9"}) {
    const auto at = times_of(at_rate(333, gaps), 5000, {}, 7);
    EXPECT_TRUE(std::is_sorted(at.begin(), at.end())) << gaps;
    EXPECT_EQ(at, times_of(at_rate(333, gaps), 5000, {}, 7)) << gaps;
    if (std::string(gaps) != "constant") {
      EXPECT_NE(at, times_of(at_rate(333, gaps), 5000, {}, 8)) << gaps;
    }
  }
}

TEST(Arrivals, TheDrawsOfASeedAreTheSameOnEveryMachine) {
  // The 10000th word of the engine is fixed by the C++ standard ([rand.predef]).
  Draw standard(5489);
  for (int i = 1; i < 10'000; ++i) (void)standard.bits();
  EXPECT_EQ(standard.bits(), 9981545732273789042u);
  Draw draw(1);
  EXPECT_NEAR(draw.uniform(), 0.13387664401253263, 1e-12);
  for (int i = 0; i < 1000; ++i) EXPECT_LT(draw.below(7), 7u);
  const auto at = times_of(at_rate(1, "poisson"), 3, {}, 1);
  ASSERT_EQ(at.size(), 3u);
  EXPECT_NEAR(static_cast<double>(at[0]) * 1e-9, -std::log1p(-0.13387664401253263), 1e-9);
}

TEST(Arrivals, ARampBeginsAndEndsAtItsRates) {
  const auto linear = times_of(*parse_ramp("10:100"), 10'000);
  const auto gap = [](const auto& at, std::size_t i) { return static_cast<double>(at[i] - at[i - 1]) * 1e-9; };
  EXPECT_EQ(linear.front(), 0);
  EXPECT_NEAR(gap(linear, 1), 0.1, 1e-4);
  EXPECT_NEAR(gap(linear, 9999), 0.01, 1e-6);
  EXPECT_NEAR(gap(linear, 5000), 1 / 55.0, 1e-5);  // half way between the rates
  const auto growing = times_of(*parse_ramp("10:1000:exp"), 10'000);
  EXPECT_NEAR(gap(growing, 5000), 0.01, 1e-5);  // half way between their logarithms
  const auto falling = times_of(*parse_ramp("100:10"), 10'000);
  EXPECT_NEAR(gap(falling, 9999), 0.1, 1e-4);
}

TEST(Arrivals, ARampOfADurationGetsThroughBothItsRatesInThatTime) {
  for (const char* text : {"5:50", "50:5", "5:50:exp", "20:20"}) {
    const auto ramp = *parse_ramp(text);
    const auto at = times_of(ramp, {}, 100 * second_ns);
    EXPECT_LT(at.back(), 100 * second_ns) << text;
    EXPECT_GT(at.back(), 98 * second_ns) << text;
    const double last_gap = static_cast<double>(at.back() - at[at.size() - 2]) * 1e-9;
    EXPECT_NEAR(last_gap * ramp.ramp_to_per_s, 1, 0.02) << text;
  }
}

TEST(Arrivals, BurstsComeTogetherAndAllAtOnceIsAtZero) {
  EXPECT_THAT(times_of(*parse_bursts("3:2s"), 7),
              ElementsAre(0, 0, 0, 2 * second_ns, 2 * second_ns, 2 * second_ns, 4 * second_ns));
  EXPECT_EQ(times_of(*parse_bursts("3:2s"), {}, 5 * second_ns).size(), 9u);
  EXPECT_THAT(times_of(Arrivals{}, 3), ElementsAre(0, 0, 0));
}

TEST(Arrivals, TheFirstOfCountAndDurationEndsALoad) {
  EXPECT_EQ(times_of(at_rate(10, "constant"), 1000, 2 * second_ns).size(), 20u);
  EXPECT_EQ(times_of(at_rate(10, "constant"), 7, 2 * second_ns).size(), 7u);
  // The time is exclusive: a request at its very end would not fit in it.
  EXPECT_EQ(times_of(at_rate(10, "constant"), {}, 2 * second_ns).back(), 2 * second_ns - second_ns / 10);
}

TEST(Arrivals, WordsThatMakeNoSenseAreRefusedWithWhatWould) {
  Arrivals arrivals;
  for (const char* text :
       {"", "exp", "gamma", "gamma:", "gamma:0", "gamma:-1", "gamma:nan", "gamma:1e99", "poisson "}) {
    const auto parsed = parse_gaps(text, arrivals);
    ASSERT_FALSE(parsed) << text;
    EXPECT_THAT(parsed.error().fix, HasSubstr("gamma:B")) << text;
  }
  for (const char* text : {"", "5", "5:", "0:5", "5:0", "-1:5", "5:1e9", "1:2:3", "1:2:exp:4", "inf:5"})
    EXPECT_FALSE(parse_ramp(text)) << text;
  for (const char* text : {"", "5", "0:1s", "5:0s", "5:1", "x:1s", "5:1s:1", "99999999999:1s"})
    EXPECT_FALSE(parse_bursts(text)) << text;
  EXPECT_FALSE(arrival_times_ns(at_rate(5, "poisson"), {}, {}, 1));                 // it would never end
  EXPECT_FALSE(arrival_times_ns(Arrivals{}, {}, second_ns, 1));                     // at once, but how many?
  EXPECT_FALSE(arrival_times_ns(at_rate(1e-9, "constant"), 2, {}, 1));              // 31 years
  EXPECT_FALSE(arrival_times_ns(at_rate(1e6, "poisson"), {}, 100 * second_ns, 1));  // 100 million
}

TEST(Arrivals, ALoadIsDescribedInWords) {
  EXPECT_EQ(describe(at_rate(5, "poisson")), "Poisson, 5/s");
  EXPECT_EQ(describe(at_rate(0.5, "gamma:0.25")), "gamma (shape 0.25), 0.5/s");
  EXPECT_EQ(describe(*parse_ramp("1:20:exp")), "constant, from 1/s to 20/s, by the same factor");
  EXPECT_EQ(describe(*parse_bursts("8:2s")), "8 every 2 s");
  EXPECT_EQ(describe(*parse_bursts("5:300ms")), "5 every 0.3 s");  // and not 0.30000000000000004
}

}  // namespace
}  // namespace prony
