// Values that others computed: SciPy 1.17.1 (scipy.stats, numpy.quantile) where nothing else is named.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "statistics/describe.hpp"
#include "statistics/difference.hpp"
#include "statistics/distributions.hpp"
#include "statistics/interval.hpp"

namespace prony::statistics {
namespace {

const std::vector<double> skewed = {2.1, 2.3, 1.9, 2.8, 3.6, 2.2, 2.0, 7.5, 2.4, 2.6};
const std::vector<double> before = {1.36, 1.42, 1.31, 1.39, 1.33};
const std::vector<double> after = {1.44, 1.53, 1.40, 1.46, 1.45};

TEST(Statistics, QuantilesOfStudentsTAreSciPys) {
  EXPECT_NEAR(student_t_quantile(0.975, 1), 12.706204736174694, 1e-9);
  EXPECT_NEAR(student_t_quantile(0.975, 4), 2.7764451051977934, 1e-12);
  EXPECT_NEAR(student_t_quantile(0.975, 2.5), 3.5746548420036817, 1e-12);
  EXPECT_NEAR(student_t_quantile(0.975, 1e6), 1.959966356814107, 1e-10);
  EXPECT_NEAR(student_t_quantile(0.9995, 3), 12.923978636687961, 1e-9);
  EXPECT_NEAR(student_t_quantile(0.2, 5), -0.9195437802408267, 1e-12);
  EXPECT_NEAR(student_t_below(2.0, 3), 0.9303370157205785, 1e-13);
  EXPECT_NEAR(student_t_below(-1.5, 2.5), 0.12391822654314809, 1e-13);
}
TEST(Statistics, QuantilesOfTheNormalAreSciPys) {
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-13);
  EXPECT_NEAR(normal_quantile(1e-9), -5.9978070150076865, 1e-10);
  EXPECT_NEAR(normal_below(1.5), 0.9331927987311419, 1e-14);
}
TEST(Statistics, ASetIsDescribedWithDdofOne) {  // kills ddof 0: 1.5901
  const auto d = describe(skewed).value();
  EXPECT_EQ(d.count, 10U);
  EXPECT_NEAR(d.mean, 2.94, 1e-12);
  EXPECT_NEAR(d.sd.value(), 1.6761065996330107, 1e-12);
  EXPECT_NEAR(d.cv.value(), 0.5701042855894595, 1e-12);
  EXPECT_NEAR(d.median, 2.35, 1e-12);
}
TEST(Statistics, EachQuantileRuleHasItsOwnAnswer) {
  const auto of = [](double p, QuantileRule rule) { return quantile(skewed, p, rule).value(); };
  EXPECT_NEAR(of(0.9, QuantileRule::linear), 3.99, 1e-12);
  EXPECT_NEAR(of(0.9, QuantileRule::median_unbiased), 6.07, 1e-12);
  EXPECT_NEAR(of(0.1, QuantileRule::median_unbiased), 1.9366666666666665, 1e-12);
  EXPECT_DOUBLE_EQ(of(0.9, QuantileRule::rank_below), 7.5);     // sorted[9]
  EXPECT_DOUBLE_EQ(of(0.5, QuantileRule::rank_below), 2.4);     // sorted[5]
  EXPECT_DOUBLE_EQ(of(0.5, QuantileRule::rank_from_top), 2.3);  // sorted[10 - 1 - 5]
  EXPECT_NEAR(of(0.99, QuantileRule::linear), 7.149, 1e-12);
  EXPECT_DOUBLE_EQ(of(1, QuantileRule::rank_below), 7.5);
}
TEST(Statistics, TheIntervalOfAMeanIsSciPys) {
  const auto i = mean_interval(skewed).value();
  EXPECT_NEAR(i.low, 1.740985568809518, 1e-12);
  EXPECT_NEAR(i.high, 4.139014431190482, 1e-12);
}
TEST(Statistics, BootstrapIntervalsAgreeWithSciPysOfFourHundredThousandResamples) {
  const auto plain = bootstrap_percentile(skewed, mean_of, {.resamples = 40'000}).value();
  EXPECT_NEAR(plain.low, 2.22, 0.03);
  EXPECT_NEAR(plain.high, 4.05, 0.06);
  const auto bca = bootstrap_bca(skewed, mean_of, {.resamples = 40'000}).value();
  EXPECT_NEAR(bca.low, 2.32, 0.03);
  EXPECT_NEAR(bca.high, 4.7575, 0.12);
}
TEST(Statistics, TheSameSeedGivesTheSameNumbersOnEveryPlatform) {
  // SplitMix64 from seed 0, as its authors publish: the first three outputs.
  EXPECT_EQ(drawn(0, 0), 0xE220A8397B1DCDAFU);
  EXPECT_EQ(drawn(0, 1), 0x6E789E6AA1B965F4U);
  EXPECT_EQ(drawn(0, 2), 0x06C45D188009454FU);
  const auto one = bootstrap_bca(skewed, mean_of).value(), again = bootstrap_bca(skewed, mean_of).value();
  EXPECT_EQ(one.low, again.low);
  EXPECT_EQ(one.high, again.high);
  EXPECT_NE(one.high, bootstrap_bca(skewed, mean_of, {.seed = 43}).value().high);
}
TEST(Statistics, TheAccelerationIsThatOfLeavingOneOut) {
  EXPECT_NEAR(acceleration(skewed, mean_of), 0.12020100881700893, 1e-12);
  EXPECT_NEAR(bca_level(0.025, 0.1, 0.05), 0.05461007689835953, 1e-12);
  EXPECT_NEAR(bca_level(0.975, 0.1, 0.05), 0.9917237368688839, 1e-12);
  EXPECT_NEAR(bca_level(0.025, 0, 0), 0.025, 1e-12);  // neither bias nor skew: the percentile interval
}
TEST(Statistics, TheUnpairedDifferenceIsWelchs) {  // kills the pooled variance: df 8
  const auto d = unpaired_difference(before, after).value();
  EXPECT_FALSE(d.paired);
  EXPECT_NEAR(d.absolute.value, 0.094, 1e-12);
  EXPECT_NEAR(d.absolute.low, 0.027121042770280032, 1e-9);
  EXPECT_NEAR(d.absolute.high, 0.16087895722972012, 1e-9);
  EXPECT_NEAR(d.degrees, 7.969459441143913, 1e-9);
  EXPECT_NEAR(d.p_value, 0.01188008809569101, 1e-10);
  EXPECT_NEAR(d.hedges_g.value(), 1.8516685596483164, 1e-10);  // Cohen's d is 2.0512
  EXPECT_NEAR(d.relative.value().value, 0.06901615271659334, 1e-12);
  EXPECT_NEAR(d.relative.value().low, 0.01951142947045762, 1e-9);
  EXPECT_NEAR(d.relative.value().high, 0.12092469170508852, 1e-9);
}
TEST(Statistics, PairsTellASmallerDifferenceThanSetsDo) {
  const auto d = paired_difference(before, after).value();
  EXPECT_TRUE(d.paired);
  EXPECT_NEAR(d.absolute.low, 0.06825230732070918, 1e-10);
  EXPECT_NEAR(d.absolute.high, 0.11974769267929071, 1e-10);
  EXPECT_NEAR(d.p_value, 0.0005332977460749916, 1e-10);
  EXPECT_NEAR(d.relative.value().low, 0.049827520250529146, 1e-9);
  EXPECT_NEAR(d.relative.value().high, 0.08855551290584564, 1e-9);
  EXPECT_LT(d.minimum_detectable.value(), unpaired_difference(before, after).value().minimum_detectable.value());
}
TEST(Statistics, WhatCanBeDetectedIsThatOfTheNoncentralT) {
  EXPECT_NEAR(t_test_power(2.5, 8, 0.95), 0.5930780932637124, 1e-8);
  EXPECT_NEAR(detectable_standard_errors(2, 0.95, 0.8), 5.653489266197127, 1e-6);
  EXPECT_NEAR(detectable_standard_errors(4, 0.95, 0.8), 3.7610595538250196, 1e-6);
  EXPECT_NEAR(detectable_standard_errors(18, 0.95, 0.8), 2.96267243641826, 1e-6);
  // One degree of freedom: |t| > 12.7 takes about 12.7 · the 80 % quantile of |z| = 16.3 standard errors.
  EXPECT_NEAR(detectable_standard_errors(1, 0.95, 0.8), 16.3, 0.2);
  EXPECT_NEAR(t_test_power(29.999, 1, 0.95), t_test_power(30.001, 1, 0.95), 1e-3);  // where the formula changes
}
TEST(Statistics, SoManyValuesAreNeeded) {
  EXPECT_EQ(values_for_interval(0.031, 0.02).value(), 12U);  // the thesis's repeatability, to ±2 %
  EXPECT_EQ(values_for_interval(0.05, 0.05).value(), 7U);
  EXPECT_EQ(values_for_difference(0.031, 0.05, false).value(), 8U);
  EXPECT_EQ(values_for_difference(0.031, 0.05, true).value(), 6U);
  EXPECT_EQ(values_for_difference(0.1, 0.05, false).value(), 64U);
  EXPECT_EQ(values_for_difference(0, 0.05, false).value(), 2U);
  EXPECT_FALSE(values_for_difference(0.1, 1e-9, false).has_value());
  EXPECT_FALSE(values_for_interval(0.1, 0).has_value());
}
// LoadGen's own summaries: of 2048, 2116 and 2145 queries it discards 172, 178 and 181 for the 90th percentile.
TEST(Statistics, EarlyStoppingDiscardsAsManyAsLoadGen) {
  const auto of = [](std::size_t n) {
    std::vector<double> values;
    for (std::size_t i = 0; i < n; ++i) values.push_back(static_cast<double>((i * 7919) % n));  // 0…n−1, unsorted
    return early_stopping_bound(values, 0.9);
  };
  EXPECT_EQ(of(2048).value().discarded, 172U);
  EXPECT_EQ(of(2116).value().discarded, 178U);
  EXPECT_EQ(of(2145).value().discarded, 181U);
  EXPECT_DOUBLE_EQ(of(2048).value().bound, 2048 - 173);  // the 173rd from the top of 0…2047
  EXPECT_EQ(of(64).value().discarded, 0U);
  EXPECT_EQ(of(63).error().reason, "needs 64 values, has 63");
}
TEST(Statistics, WhatCannotBeToldIsAbsentWithAReason) {
  const std::vector<double> one = {1}, bad = {1, std::numeric_limits<double>::quiet_NaN(), 2}, same = {2, 2, 2},
                            negative = {-1, 1, -2};
  EXPECT_FALSE(mean_interval(one).has_value());
  EXPECT_FALSE(describe(bad).has_value());
  EXPECT_FALSE(quantile(bad, 0.5, QuantileRule::linear).has_value());
  EXPECT_FALSE(quantile(same, 1.5, QuantileRule::linear).has_value());
  EXPECT_FALSE(bootstrap_bca(before, mean_of, {.level = 1}).has_value());
  EXPECT_FALSE(bootstrap_percentile(one, mean_of).has_value());
  EXPECT_EQ(paired_difference(one, same).error().reason, "pairs need as many values on one side as on the other");
  EXPECT_FALSE(unpaired_difference(one, same).has_value());
  const auto d = unpaired_difference(same, same).value();
  EXPECT_DOUBLE_EQ(d.p_value, 1);
  EXPECT_FALSE(d.hedges_g.has_value());
  EXPECT_FALSE(d.minimum_detectable.has_value());
  EXPECT_DOUBLE_EQ(d.relative.value().high, 0);
  EXPECT_FALSE(unpaired_difference(negative, same).value().relative.has_value());
  EXPECT_EQ(describe(same).value().cv.value(), 0);
}

}  // namespace
}  // namespace prony::statistics
