#include "reports/load_figures.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reports/load_json.hpp"
#include "reports/scenario.hpp"

namespace prony {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t ms = 1'000'000;

// Begun and ended in ms; `scheduled` −1: it was not. TTFT 10 ms and E2E to the end, from the begin.
RequestRow timed_request(std::int64_t begin_ms, std::int64_t end_ms, std::int64_t scheduled_ms = -1) {
  RequestRow row;
  row.span.kind = SpanKind::request;
  row.span.interval = {{begin_ms * ms}, {end_ms * ms}};
  row.finish = "length";
  if (scheduled_ms >= 0) row.span.counts.emplace_back("scheduled_ns", scheduled_ms * ms);
  row.ttft_s = 0.010;
  row.e2e_s = static_cast<double>(end_ms - begin_ms) * 1e-3;
  row.tpot_s = 0.002;
  row.prompt_tokens = 10;
  row.output_tokens = 5;
  return row;
}

LevelFigures figures(const std::vector<RequestRow>& rows, const Slo* slo = nullptr) {
  std::vector<const RequestRow*> all;
  for (const RequestRow& row : rows) all.push_back(&row);
  return figures_of(all, slo);
}

TEST(LoadFigures, AnOpenLoadsTimesBeginWhenRequestsWereScheduled) {
  const auto level = figures({timed_request(100, 200, 0), timed_request(150, 260, 50), timed_request(200, 330, 100)});
  EXPECT_TRUE(level.open);
  EXPECT_NEAR(*level.ttft.mean, 0.110, 1e-12);  // 10 ms after sending, which was 100 ms late
  EXPECT_NEAR(*level.ttft_sent.mean, 0.010, 1e-12);
  EXPECT_NEAR(*level.e2e.max, 0.230, 1e-12);
  EXPECT_NEAR(*level.late.mean, 0.1, 1e-12);
  EXPECT_NEAR(level.duration_s, 0.33, 1e-12);  // from the first that was due, not from the first that was sent
}

// Kills: n / (last − first), which is high by n / (n − 1).
TEST(LoadFigures, TheOfferedRateHasOneGapLessThanRequests) {
  const auto level = figures({timed_request(0, 10, 0), timed_request(100, 110, 100), timed_request(200, 210, 200)});
  EXPECT_NEAR(*level.offered_per_s, 10, 1e-9);
  EXPECT_NEAR(*level.reached_per_s, 3 / 0.21, 1e-9);
  EXPECT_FALSE(figures({timed_request(0, 10, 0)}).offered_per_s);
  EXPECT_FALSE(figures({timed_request(0, 10), timed_request(5, 20)}).offered_per_s) << "a closed load offers no rate";
}

// Kills: counting a request that ends at the instant at which another begins.
TEST(LoadFigures, RequestsThatTouchAreNotUnderWayTogether) {
  EXPECT_EQ(figures({timed_request(0, 10), timed_request(10, 20), timed_request(20, 30)}).most_under_way, 1U);
  EXPECT_EQ(figures({timed_request(0, 11), timed_request(10, 20), timed_request(5, 30)}).most_under_way, 3U);
}

TEST(LoadFigures, WhatFailedOrWasCalledOffIsInNoTimesAndNoTokens) {
  std::vector<RequestRow> rows{timed_request(0, 100), timed_request(0, 1), timed_request(0, 50)};
  rows[1].span.status = SpanStatus::failed;
  rows[1].ttft_s = 1e-6;
  rows[2].finish = "stop";
  const auto level = figures(rows);
  EXPECT_EQ((std::array{level.ok, level.failed, level.cancelled}), (std::array<std::size_t, 3>{1, 1, 1}));
  EXPECT_EQ(level.ttft.count, 1U);
  EXPECT_DOUBLE_EQ(*level.ttft.mean, 0.010);
  EXPECT_EQ(level.output_tokens, 5);
  EXPECT_NEAR(*level.output_tokens_per_s, 50, 1e-9);
}

TEST(LoadFigures, TokensOfAllAreToldOnlyWhereEveryAnswerToldThem) {
  std::vector<RequestRow> rows{timed_request(0, 100), timed_request(0, 100)};
  EXPECT_NEAR(*figures(rows).total_tokens_per_s, 300, 1e-9);
  rows[1].prompt_tokens.reset();
  EXPECT_FALSE(figures(rows).total_tokens_per_s);
  EXPECT_NEAR(*figures(rows).output_tokens_per_s, 100, 1e-9);
}

TEST(LoadFigures, GoodputCountsWhatIsWithinAllLimitsFromTheSchedule) {
  const Slo slo = *parse_slo("ttft=50ms,tpot=5ms");
  std::vector<RequestRow> rows{timed_request(0, 100, 0), timed_request(60, 160, 0), timed_request(0, 100, 0),
                               timed_request(0, 100, 0)};
  rows[2].tpot_s = 0.006;
  rows[3].span.status = SpanStatus::failed;
  const auto level = figures(rows, &slo);
  EXPECT_EQ(level.within, 1U);  // the second one's first token came 70 ms after it was due
  EXPECT_EQ(level.judged, 4U);
  EXPECT_NEAR(*level.goodput_per_s, 1 / 0.16, 1e-9);
}

TEST(LoadFigures, AnAnswerInOnePieceHasNoTimeBetweenItsTokensThatCouldBeTooLong) {
  const Slo slo = *parse_slo("tpot=5ms");
  std::vector<RequestRow> rows{timed_request(0, 10)};
  rows[0].tpot_s.reset();  // the clock did not move
  rows[0].e2e_s = rows[0].ttft_s;
  EXPECT_EQ(figures(rows, &slo).within, 1U);
  rows[0].e2e_s = 0.5;  // it did, and TPOT is not known
  EXPECT_EQ(figures(rows, &slo).judged, 0U);
}

TEST(LoadFigures, APercentileIsToldFromItsLeastCountOn) {
  std::vector<double> values(661, 1.0);
  EXPECT_FALSE(spread_of(values).p99);
  EXPECT_TRUE(spread_of(values).p90);
  values.push_back(1);
  EXPECT_TRUE(spread_of(values).p99);
  EXPECT_FALSE(spread_of({1, 2, 3}).p50);
}

Summary of_scenario(const char* name, std::size_t count, std::int64_t apart_ms, bool open) {
  Summary summary;
  summary.manifest.set("load.mode", open ? "open" : "closed", "prony");
  summary.manifest.set("load.scenario", name, "flag");
  for (std::size_t i = 0; i < count; ++i) {
    const auto at = static_cast<std::int64_t>(i) * apart_ms;
    summary.requests.push_back(timed_request(at, at + 20 + static_cast<std::int64_t>(i % 10), open ? at : -1));
    summary.requests.back().span.id = {i + 1};
  }
  return summary;
}

ScenarioVerdict verdict_of(const Summary& summary) { return *scenario_verdict(summary, *load_figures(summary)); }

TEST(Scenario, SingleStreamIsValidWithItsTimeAndItsCountAndTellsTheEstimateAboveThePercentile) {
  const auto verdict = verdict_of(of_scenario("single-stream", 100, 6100, false));
  EXPECT_TRUE(verdict.valid) << (verdict.reasons.empty() ? "" : verdict.reasons[0]);
  EXPECT_NEAR(*verdict.value, 0.029, 1e-9);  // the 90th of 100 from 0: ten each of 20 … 29 ms
  EXPECT_GE(*verdict.early_stopping_s, *verdict.value);
  EXPECT_FALSE(verdict_of(of_scenario("single-stream", 63, 10'000, false)).valid);  // 64 queries are needed
  EXPECT_FALSE(verdict_of(of_scenario("single-stream", 100, 1000, false)).valid);   // 600 s are
}

TEST(Scenario, OneFailureMakesARunInvalid) {
  Summary summary = of_scenario("single-stream", 100, 6100, false);
  summary.requests[50].span.status = SpanStatus::failed;
  const auto verdict = verdict_of(summary);
  EXPECT_FALSE(verdict.valid);
  EXPECT_THAT(verdict.reasons.back(), HasSubstr("1 request(s) were not answered"));
}

TEST(Scenario, MultiStreamTakesTheSlowestSampleOfEachQuery) {
  Summary summary = of_scenario("multi-stream", 16, 0, false);
  for (std::size_t i = 8; i < 16; ++i) summary.requests[i].span.interval = {{1000 * ms}, {1500 * ms}};
  EXPECT_NEAR(*verdict_of(summary).value, 0.5, 1e-9);  // of two queries the second by its ⌊2 · 0.99⌋
  EXPECT_FALSE(verdict_of(summary).valid);
  EXPECT_EQ(verdict_of(summary).words.at(1), "p99 500 ms of queries of 8 samples");
}

TEST(Scenario, AServerMayBreakItsLimitsAsOftenAsEarlyStoppingAllows) {
  Summary summary = of_scenario("server", 700, 900, true);
  summary.manifest.set("load.slo", "mlperf:llama2-70b", "flag");
  EXPECT_TRUE(verdict_of(summary).valid);
  summary.requests[3].ttft_s = 2.5;  // one of 700 may: 662 are enough for that
  EXPECT_TRUE(verdict_of(summary).valid);
  summary.requests[4].ttft_s = 2.5;
  EXPECT_FALSE(verdict_of(summary).valid);
  summary.manifest.set("load.slo", "", "flag");
  EXPECT_FALSE(verdict_of(summary).valid);  // no limit, no verdict
}

TEST(Scenario, OfflineWantsItsSamples) {
  const auto verdict = verdict_of(of_scenario("offline", 100, 0, true));
  EXPECT_FALSE(verdict.valid);
  EXPECT_THAT(verdict.reasons[1], HasSubstr("24 576"));
  EXPECT_NEAR(*verdict.value, 100 / 0.029, 1e-6);
}

TEST(LoadJson, ARunOfNoLoadHasNoneOfIt) {
  Summary summary = of_scenario("", 3, 10, false);
  EXPECT_FALSE(load_json(summary).is_null());
  summary.manifest = {};
  EXPECT_TRUE(load_json(summary).is_null());
}

}  // namespace
}  // namespace prony
