#include "model/metrics.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace prony::metrics {
namespace {

Span span(SpanKind kind, std::int64_t begin_ms, std::int64_t end_ms) {
  Span s;
  s.kind = kind;
  s.interval = {{begin_ms * 1'000'000}, {end_ms * 1'000'000}};
  return s;
}

// 14 prompt tokens, 25 output tokens: prefill 10…110 ms, then 24 gaps of 10 ms.
struct Fixture {
  Span request = span(SpanKind::request, 0, 360);
  Span prefill = span(SpanKind::prefill, 10, 110);
  Span decode = span(SpanKind::decode, 110, 350);
  std::vector<Span> tokens;
  std::vector<const Span*> children;
  Fixture() {
    request.counts = {{"prompt_tokens", 14}, {"output_tokens", 25}};
    for (int i = 0; i < 25; ++i) tokens.push_back(span(SpanKind::token, i == 0 ? 10 : 100 + 10 * i, 110 + 10 * i));
    children = {&decode, &prefill};
    for (const Span& token : tokens) children.push_back(&token);
  }
};

TEST(Metrics, TheFirstTokenIsNotCountedInTheDecodeRate) {  // kills O / (tn − t1): 104.17 instead of 100
  const Fixture f;
  EXPECT_NEAR(decode_tokens_per_s(request_times(f.request, f.children)).value(), 100.0, 1e-9);
}
TEST(Metrics, TpotIsTheInverseOfTheDecodeRate) {
  const Fixture f;
  EXPECT_NEAR(tpot_s(request_times(f.request, f.children)).value(), 0.010, 1e-12);
}
TEST(Metrics, TtftRunsFromTheRequestAndNotFromPrefill) {  // kills t1 − begin of prefill: 0.100
  const Fixture f;
  EXPECT_NEAR(ttft_s(request_times(f.request, f.children)).value(), 0.110, 1e-12);
}
TEST(Metrics, E2eEndsWithTheLastTokenAndNotWithTheRequestSpan) {  // kills tE: 0.360
  const Fixture f;
  EXPECT_NEAR(e2e_s(request_times(f.request, f.children)).value(), 0.350, 1e-12);
}
TEST(Metrics, ThePrefillRateLeavesTokenisationOut) {
  const Fixture f;
  EXPECT_NEAR(prefill_tokens_per_s(request_times(f.request, f.children)).value(), 140.0, 1e-9);
}
// Kills P / time: 14 tokens of which 10 were cached would be 140 tok/s, and ever more as the cache gets warmer.
TEST(Metrics, TokensFromACacheAreNotInThePrefillRate) {
  Fixture f;
  f.request.counts.emplace_back("cached_tokens", 10);
  EXPECT_NEAR(prefill_tokens_per_s(request_times(f.request, f.children)).value(), 40.0, 1e-9);
  f.request.counts.back().second = 14;
  EXPECT_FALSE(prefill_tokens_per_s(request_times(f.request, f.children)).has_value());
}
// Kills taking what came before the first token for prefill: a queue would look like slow prefill.
TEST(Metrics, APrefillThatHoldsAQueueHasNoRateButItsEndIsTheFirstToken) {
  Fixture f;
  f.prefill.attributes.emplace_back("holds", "queue, network and prefill");
  const auto r = request_times(f.request, f.children);
  EXPECT_FALSE(prefill_tokens_per_s(r).has_value());
  EXPECT_NEAR(ttft_s(r).value(), 0.110, 1e-12);
}
TEST(Metrics, GapsAreOneFewerThanTokensAndHoldNoTtft) {
  const Fixture f;
  const auto gaps = itl_s(request_times(f.request, f.children));
  ASSERT_EQ(gaps.size(), 24u);
  for (const double gap : gaps) EXPECT_NEAR(gap, 0.010, 1e-12);
}
TEST(Metrics, OneOutputTokenHasALatencyButNoDecodeRate) {
  Fixture f;
  f.request.counts = {{"prompt_tokens", 14}, {"output_tokens", 1}};
  const std::vector<const Span*> children{&f.prefill};
  const auto r = request_times(f.request, children);
  EXPECT_NEAR(e2e_s(r).value(), 0.110, 1e-12);
  ASSERT_FALSE(decode_tokens_per_s(r).has_value());
  EXPECT_NE(decode_tokens_per_s(r).error().reason.find("two output tokens"), std::string::npos);
  EXPECT_FALSE(tpot_s(r).has_value());
}
TEST(Metrics, AnUnfinishedPrefillGivesNoFirstToken) {  // its end is when recording stopped, not a token
  Fixture f;
  f.prefill.status = SpanStatus::unfinished;
  const std::vector<const Span*> children{&f.prefill};
  const auto r = request_times(f.request, children);
  EXPECT_FALSE(ttft_s(r).has_value());
  EXPECT_FALSE(prefill_tokens_per_s(r).has_value());
}
TEST(Metrics, AMissingCountIsAReasonAndNotZero) {
  Fixture f;
  f.request.counts.clear();
  const auto r = request_times(f.request, f.children);
  ASSERT_FALSE(prefill_tokens_per_s(r).has_value());
  EXPECT_EQ(prefill_tokens_per_s(r).error().reason, "the worker gave no prompt_tokens");
  EXPECT_FALSE(decode_tokens_per_s(r).has_value());
}
TEST(Metrics, PercentilesAppearFromTheirLeastCounts) {
  EXPECT_EQ(least_count(0.50), 11u);
  EXPECT_EQ(least_count(0.90), 64u);
  EXPECT_EQ(least_count(0.95), 130u);
  EXPECT_EQ(least_count(0.99), 662u);
  std::vector<double> values(63, 1.0);
  ASSERT_FALSE(percentile(values, 0.90).has_value());
  EXPECT_EQ(percentile(values, 0.90).error().reason, "needs 64 values, has 63");
  values.push_back(1.0);
  EXPECT_TRUE(percentile(values, 0.90).has_value());
}
TEST(Metrics, APercentileInterpolatesBetweenItsNeighbours) {  // kills nearest-rank: 7 or 6
  std::vector<double> values;
  for (int i = 12; i >= 1; --i) values.push_back(i);  // unsorted on purpose
  EXPECT_DOUBLE_EQ(percentile(values, 0.5).value(), 6.5);
}
TEST(Metrics, TheSpreadDividesByOneLess) {  // kills ddof 0: 2.0
  const std::vector<double> values{2, 4, 4, 4, 5, 5, 7, 9};
  EXPECT_NEAR(sd(values).value(), 2.13808993529939, 1e-12);
  EXPECT_FALSE(sd(std::vector<double>{1.0}).has_value());
  EXPECT_FALSE(mean(std::vector<double>{}).has_value());
}
TEST(Metrics, StudentsQuantileAgreesWithTheTables) {
  EXPECT_NEAR(student_t_975(1), 12.7062, 1e-4);
  EXPECT_NEAR(student_t_975(2), 4.3027, 1e-4);
  EXPECT_NEAR(student_t_975(4), 2.7764, 1e-4);
  EXPECT_NEAR(student_t_975(7), 2.3646, 1e-4);
  EXPECT_NEAR(student_t_975(30), 2.0423, 1e-4);
  EXPECT_NEAR(student_t_975(1000), 1.9623, 1e-4);
  EXPECT_NEAR(student_t_975(10'001), student_t_975(10'000), 1e-6);  // the series and its limit meet
}
TEST(Metrics, TheIntervalOfAMeanUsesTAndNotTheNormal) {  // kills 1.96
  const std::vector<double> values{1, 2, 3, 4, 5};
  const auto interval = mean_interval_95(values).value();
  EXPECT_DOUBLE_EQ(interval.mean, 3);
  EXPECT_NEAR(interval.high - interval.mean, 1.9632, 1e-3);  // 2.7764 · 1.5811 / √5
  EXPECT_NEAR(interval.mean - interval.low, interval.high - interval.mean, 1e-12);
}

// The table of LoadGen's early stopping; with none beyond it is ln 0.01 / ln p.
TEST(Metrics, EarlyStoppingNeedsMoreValuesForEachThatMayLieBeyond) {
  EXPECT_EQ(least_count(0.90, 0), 44U);
  EXPECT_EQ(least_count(0.95, 0), 90U);
  EXPECT_EQ(least_count(0.99, 0), 459U);
  EXPECT_EQ(least_count(0.90, 1), 64U);
  EXPECT_EQ(least_count(0.95, 1), 130U);
  EXPECT_EQ(least_count(0.99, 1), 662U);
  for (const double p : {0.5, 0.9, 0.95, 0.99}) EXPECT_EQ(least_count(p), least_count(p, 1)) << p;
  EXPECT_GT(least_count(0.99, 100), 10'000U);  // 1 % of them, and room for chance
  EXPECT_LT(least_count(0.99, 100), 14'000U);
}

TEST(Metrics, HowManyMayLieBeyondIsTheOtherSideOfHowManyAreNeeded) {
  EXPECT_EQ(most_over(0.99, 458), std::nullopt);
  EXPECT_EQ(most_over(0.99, 459), 0U);
  EXPECT_EQ(most_over(0.99, 661), 0U);
  EXPECT_EQ(most_over(0.99, 662), 1U);
  EXPECT_EQ(most_over(0.9, 0), std::nullopt);
  for (const std::size_t over : {2U, 7U, 40U}) {
    const std::size_t n = least_count(0.9, over);
    EXPECT_EQ(most_over(0.9, n), over);
    EXPECT_EQ(most_over(0.9, n - 1), over - 1);
  }
}

TEST(Metrics, MlperfsPercentileIsAValueThatWasSeen) {
  const std::vector<double> values{5, 1, 4, 2, 3, 6, 7, 8, 9, 10};
  EXPECT_EQ(*percentile_mlperf(values, 0.9), 10);  // the 9th from 0; numpy's would be 9.1
  EXPECT_EQ(*percentile_mlperf(values, 0.5), 6);
  EXPECT_EQ(*percentile_mlperf(std::vector<double>{3}, 0.99), 3);
  EXPECT_FALSE(percentile_mlperf({}, 0.9));
}

}  // namespace
}  // namespace prony::metrics
