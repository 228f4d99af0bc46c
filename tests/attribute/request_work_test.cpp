// Where a request's tokens are placed in time.
#include "attribute/request_work.hpp"

#include <gtest/gtest.h>

#include "rig.hpp"

namespace prony::attribution {
namespace {

using namespace rig;

Span request(std::uint64_t id, std::int64_t from_ms, std::int64_t to_ms, std::int64_t prompt, std::int64_t output) {
  Span result = span(id, SpanKind::request, "r", origin + from_ms * millisecond, origin + to_ms * millisecond);
  if (prompt >= 0) result.counts.emplace_back("prompt_tokens", prompt);
  if (output >= 0) result.counts.emplace_back("output_tokens", output);
  return result;
}
Span part(std::uint64_t id, SpanKind kind, std::int64_t from_ms, std::int64_t to_ms, std::uint64_t parent) {
  return span(id, kind, "", origin + from_ms * millisecond, origin + to_ms * millisecond, parent);
}
WorkAmount work_between(const WorkInTime& work, std::size_t i, std::int64_t from_ms, std::int64_t to_ms) {
  return work.requests.at(i).between(origin + from_ms * millisecond, origin + to_ms * millisecond);
}
WorkInTime placed(const std::vector<Span>& spans, const std::optional<KvReads>& kv = {}) {
  return place_work(spans, spans, kv);
}

// Kills: the first token counted as decoded (it comes out of prefill), a cache that does not grow.
TEST(PlacedWork, APromptIsWorkedOnThroughPrefillAndEachFurtherTokenReadsAllBeforeIt) {
  const WorkInTime work =
      placed({request(1, 0, 100, 10, 4), part(2, SpanKind::prefill, 20, 40, 1), part(3, SpanKind::decode, 40, 100, 1)});
  EXPECT_EQ(work.absent, "");
  EXPECT_NEAR(work_between(work, 0, 0, 20).prefill_tokens, 0, 1e-12);
  EXPECT_NEAR(work_between(work, 0, 20, 30).prefill_tokens, 5, 1e-9);
  const WorkAmount whole = work_between(work, 0, 0, 1000);
  EXPECT_NEAR(whole.prefill_tokens, 10, 1e-9);
  EXPECT_NEAR(whole.decode_tokens, 3, 1e-9);
  EXPECT_NEAR(whole.kv_read, 11 + 12 + 13, 1e-9);
  EXPECT_NEAR(work_between(work, 0, 40, 60).decode_tokens, 1, 1e-9);
  EXPECT_EQ(work.requests[0].served, (Interval{{origin + 20 * millisecond}, {origin + 100 * millisecond}}));
}

// Kills: tokens spread evenly over decode where it is known when each was made.
TEST(PlacedWork, TokensStandWhereTheirSpansSay) {
  std::vector<Span> spans{request(1, 0, 100, 10, 3), part(2, SpanKind::prefill, 0, 10, 1),
                          part(3, SpanKind::decode, 10, 100, 1)};
  for (const std::int64_t end : {10, 12, 100}) spans.push_back(part(10 + spans.size(), SpanKind::token, 0, end, 1));
  const WorkInTime work = placed(spans);
  EXPECT_NEAR(work_between(work, 0, 10, 12).decode_tokens, 1, 1e-9);
  EXPECT_NEAR(work_between(work, 0, 12, 56).decode_tokens, 0.5, 1e-9);
}

TEST(PlacedWork, WhatTheServerHadInItsCacheIsNoWorkButIsRead) {
  Span one = request(1, 0, 100, 10, 2);
  one.counts.emplace_back("cached_tokens", 8);
  const WorkInTime work = placed({one, part(2, SpanKind::prefill, 0, 10, 1), part(3, SpanKind::decode, 10, 100, 1)});
  EXPECT_NEAR(work_between(work, 0, 0, 100).prefill_tokens, 2, 1e-9);
  EXPECT_NEAR(work_between(work, 0, 0, 100).kv_read, 11, 1e-9);
}

// By hand: 6 layers' worth without a window and 2 that see the last 12: (11 + 12 + 13)·6 + (11 + 12 + 12)·2.
TEST(PlacedWork, LayersWithAWindowReadNoMoreThanIt) {
  const WorkInTime work =
      placed({request(1, 0, 100, 10, 4), part(2, SpanKind::prefill, 0, 10, 1), part(3, SpanKind::decode, 10, 100, 1)},
             KvReads{6, 2, 12});
  EXPECT_NEAR(work_between(work, 0, 0, 100).kv_read, 36 * 6 + 35 * 2, 1e-9);
}

// Kills: prompt tokens spread over steps in which the engine worked on others' alone.
TEST(PlacedWork, WhereTheEngineWroteStepsAPromptIsWorkedOnInThoseThatTookPrompts) {
  std::vector<Span> spans{request(1, 0, 100, 300, 1), part(2, SpanKind::prefill, 0, 60, 1)};
  const auto step = [&](std::int64_t from, std::int64_t to, std::int64_t tokens) {
    spans.push_back(
        span(100 + spans.size(), SpanKind::phase, "step", origin + from * millisecond, origin + to * millisecond));
    spans.back().counts = {{"prefill_tokens", tokens}, {"decode_tokens", 2}};
  };
  step(0, 20, 0), step(20, 40, 200), step(40, 60, 100);
  const WorkInTime work = placed(spans);
  ASSERT_EQ(work.steps.size(), 3U);
  EXPECT_NEAR(work_between(work, 0, 0, 20).prefill_tokens, 0, 1e-9);
  EXPECT_NEAR(work_between(work, 0, 20, 40).prefill_tokens, 200, 1e-9);
  EXPECT_NEAR(work_between(work, 0, 40, 60).prefill_tokens, 100, 1e-9);
  EXPECT_EQ(work.requests[0].served.begin.ns, origin + 20 * millisecond);
}

// Kills: a prompt that was called off while it waited, charged as if it had been worked on; its tokens taken from the
// prompt that was. The second was ended in mid-prefill: the steps' 50 tokens that the first did not need are its own.
TEST(PlacedWork, WhatWasCalledOffBeforeAnyStepHadRoomForItDidNoWorkAndWasNotServed) {
  const auto spans_with = [](std::int64_t of_second_step) {
    std::vector<Span> spans{request(1, 0, 100, 300, 1), part(2, SpanKind::prefill, 10, 60, 1),
                            request(3, 0, 30, 300, 0)};
    const auto step = [&](std::int64_t from, std::int64_t to, std::int64_t tokens) {
      spans.push_back(
          span(100 + spans.size(), SpanKind::phase, "step", origin + from * millisecond, origin + to * millisecond));
      spans.back().counts = {{"prefill_tokens", tokens}};
    };
    step(10, 20, 200), step(20, 60, of_second_step);
    return spans;
  };
  const WorkInTime waited = placed(spans_with(100));
  EXPECT_NEAR(work_between(waited, 0, 10, 20).prefill_tokens, 200, 1e-9);
  EXPECT_NEAR(work_between(waited, 0, 20, 60).prefill_tokens, 100, 1e-9);
  EXPECT_EQ(waited.requests[2].whole().prefill_tokens, 0);
  EXPECT_EQ(waited.requests[2].served.length().ns, 0);
  const WorkInTime begun = placed(spans_with(150));
  EXPECT_NEAR(begun.requests[0].whole().prefill_tokens, 300, 1e-9);
  EXPECT_NEAR(work_between(begun, 2, 20, 30).prefill_tokens, 50, 1e-9);
  EXPECT_EQ(begun.requests[2].served, (Interval{{origin + 20 * millisecond}, {origin + 30 * millisecond}}));
}

// Kills: a prompt worked on while it waited. 100 tokens in 10 ms is the fastest seen; so 50 tokens are its last 5 ms.
TEST(PlacedWork, APrefillThatAlsoHoldsTheQueueIsWorkedOnAtItsEnd) {
  Span holding = part(4, SpanKind::prefill, 0, 80, 3);
  holding.attributes.emplace_back("holds", "queue, network and prefill");
  Span first = part(2, SpanKind::prefill, 0, 10, 1);
  first.attributes = holding.attributes;
  const WorkInTime work = placed({request(1, 0, 100, 100, 1), first, request(3, 0, 100, 50, 1), holding});
  EXPECT_NEAR(work_between(work, 2, 0, 75).prefill_tokens, 0, 1e-9);
  EXPECT_NEAR(work_between(work, 2, 75, 80).prefill_tokens, 50, 1e-9);
  EXPECT_EQ(work.requests[2].served.begin.ns, origin + 75 * millisecond);
}

// Kills: a request that failed and tells no tokens being free, its joules left to the others.
TEST(PlacedWork, ARequestThatTellsNoTokensIsTakenForTheMeanAsFarAsItRanAndSaysSo) {
  Span failed = request(3, 0, 10, -1, -1);
  failed.status = SpanStatus::failed;
  const WorkInTime work = placed(
      {request(1, 0, 100, 80, 2), part(2, SpanKind::prefill, 0, 20, 1), part(4, SpanKind::decode, 20, 100, 1), failed});
  EXPECT_EQ(work.assumed, 1U);
  EXPECT_TRUE(work.requests[3].assumed);
  EXPECT_NEAR(work_between(work, 3, 0, 10).prefill_tokens, 40, 1e-9);  // 10 of the mean's 20 ms
  EXPECT_NEAR(work_between(work, 3, 0, 10).decode_tokens, 0, 1e-9);
}

TEST(PlacedWork, ABrokenStreamHasAsManyTokensAsPiecesOfTextCame) {
  Span broken = request(1, 0, 100, 80, -1);
  broken.counts.emplace_back("chunks", 6);
  const WorkInTime work = placed({broken, part(2, SpanKind::prefill, 0, 20, 1), part(4, SpanKind::decode, 20, 100, 1)});
  EXPECT_NEAR(work_between(work, 0, 0, 100).decode_tokens, 5, 1e-9);
}

// Kills: a request whose client went while its prompt was worked on taken for the mean of the others, or for the time
// that it waited.
TEST(PlacedWork, OfOneThatWasBrokenOffWhatTheEngineHadSaidOfItIsTaken) {
  Span early = request(3, 0, 40, 100, -1), late = request(5, 0, 100, 80, -1);
  early.counts.insert(early.counts.end(),
                      {{"cached_tokens", 10}, {"prompt_tokens_so_far", 60}, {"begun_after_ns", 30 * millisecond}});
  late.counts.insert(late.counts.end(), {{"chunks", 6}, {"output_tokens_so_far", 9}});
  Span damaged = request(7, 0, 100, 80, -1);
  damaged.counts.insert(damaged.counts.end(), {{"prompt_tokens_so_far", INT64_MAX}, {"begun_after_ns", INT64_MAX}});
  const WorkInTime work =
      placed({request(1, 0, 100, 80, 2), part(2, SpanKind::prefill, 0, 20, 1), part(4, SpanKind::decode, 20, 100, 1),
              early, late, part(6, SpanKind::prefill, 0, 20, 5), part(8, SpanKind::decode, 20, 100, 5), damaged});
  EXPECT_NEAR(work_between(work, 3, 0, 30).prefill_tokens, 0, 1e-9);
  EXPECT_NEAR(work_between(work, 3, 30, 40).prefill_tokens, 50, 1e-9);
  EXPECT_NEAR(work_between(work, 4, 0, 100).decode_tokens, 8, 1e-9);
  EXPECT_NEAR(work_between(work, 7, 0, 100).prefill_tokens, 80, 1e-9);
}

TEST(PlacedWork, WithoutAnyCountThereIsNoWorkAndAReason) {
  EXPECT_EQ(placed({request(1, 0, 100, -1, -1)}).absent, "no request tells how many tokens it had");
}

// Kills: a count from a damaged file that is looped over.
TEST(PlacedWork, CountsThatCannotBeTakeNoTime) {
  Span negative = request(5, 0, 100, -1, -1);
  negative.counts = {{"prompt_tokens", -7}, {"output_tokens", -7}, {"cached_tokens", INT64_MIN}};
  const WorkInTime work = placed({request(1, 0, 100, INT64_MAX, INT64_MAX), part(2, SpanKind::prefill, 0, 20, 1),
                                  part(4, SpanKind::decode, 20, 100, 1), negative});
  EXPECT_GT(work_between(work, 0, 0, 100).decode_tokens, 9e18);
  EXPECT_EQ(work.requests.at(3).whole().prefill_tokens, 0);
  EXPECT_EQ(work.requests.at(3).whole().decode_tokens, 0);
}

TEST(RequestsOverlap, OneAfterAnotherDoNotAndTwoAtOnceDo) {
  EXPECT_FALSE(requests_overlap(std::vector{request(1, 0, 10, 1, 1), request(2, 10, 20, 1, 1)}));
  EXPECT_TRUE(requests_overlap(std::vector{request(2, 10, 20, 1, 1), request(1, 0, 11, 1, 1)}));
}

}  // namespace
}  // namespace prony::attribution
