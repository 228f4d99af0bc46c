#include "reports/prompt_checks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reports/text_parts.hpp"

namespace prony {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

RequestRow counted_request(const std::string& name, std::int64_t in, std::int64_t out,
                           std::vector<std::pair<std::string, std::int64_t>> counts = {}) {
  RequestRow row;
  row.span.name = name;
  row.span.counts = std::move(counts);
  row.prompt_tokens = in;
  row.output_tokens = out;
  row.finish = "length";
  return row;
}

Summary summary(std::vector<RequestRow> requests) {
  Summary made;
  made.kind = "llm";
  made.requests = std::move(requests);
  return made;
}

TEST(PromptChecks, ALengthIsCheckedOnlyWhereItWasAskedForAndTheAnswerIsComplete) {
  EXPECT_FALSE(check_request(counted_request("a", 10, 5)).output_kept);
  EXPECT_EQ(check_request(counted_request("a", 10, 5, {{"asked_output_tokens", 5}})).output_kept, true);
  EXPECT_EQ(check_request(counted_request("a", 10, 4, {{"asked_output_tokens", 5}})).output_kept, false);
  EXPECT_EQ(check_request(counted_request("a", 10, 6, {{"asked_output_tokens", 5}})).output_kept, false);
  EXPECT_EQ(check_request(counted_request("a", 10, 6, {{"asked_min_output_tokens", 5}})).output_kept, true);
  EXPECT_EQ(check_request(counted_request("a", 10, 4, {{"asked_min_output_tokens", 5}})).output_kept, false);
  EXPECT_FALSE(check_request(counted_request("a", 10, 4, {{"asked_output_tokens", 5}, {"cancelled", 1}})).output_kept);
  RequestRow failed = counted_request("a", 10, 4, {{"asked_output_tokens", 5}});
  failed.span.status = SpanStatus::failed;
  EXPECT_FALSE(check_request(failed).output_kept);
  RequestRow untold = counted_request("a", 10, 4, {{"asked_output_tokens", 5}});
  untold.output_tokens.reset();
  EXPECT_FALSE(check_request(untold).output_kept);
}

TEST(PromptChecks, AMadePromptIsAsAskedWithinFivePerCentOrFourTokens) {
  const auto kept = [](std::int64_t asked, std::int64_t got) {
    return check_request(counted_request("a", got, 5, {{"asked_prompt_tokens", asked}})).prompt_kept;
  };
  EXPECT_EQ(kept(1000, 1050), true);
  EXPECT_EQ(kept(1000, 951), true);
  EXPECT_EQ(kept(1000, 1051), false);
  EXPECT_EQ(kept(10, 14), true);
  EXPECT_EQ(kept(10, 15), false);
}

TEST(PromptChecks, AContextBeyondWhatTheModelWasTrainedForIsAWarning) {
  const auto said = [](const char* context, const char* trained) {
    Summary made = summary({});
    if (*context != '\0') made.manifest.set("engine.ctx", context, "worker");
    if (*trained != '\0') made.manifest.set("model.ctx_trained", trained, "worker");
    return context_warning(made);
  };
  EXPECT_THAT(said("4096", "2048"), ::testing::AllOf(HasSubstr("4 096 tokens"), HasSubstr("2 048:")));
  EXPECT_EQ(said("2048", "2048"), "");
  EXPECT_EQ(said("4096", ""), "");
  EXPECT_EQ(said("4096", "0"), "");
  EXPECT_EQ(said("", "2048"), "");
}

TEST(PromptChecks, WhatWasNotKeptIsAWarningWithAnExample) {
  const auto words = length_warnings(
      summary({counted_request("good", 10, 5, {{"asked_output_tokens", 5}}),
               counted_request("short", 10, 3, {{"asked_output_tokens", 5}}), counted_request("free", 10, 3)}));
  EXPECT_THAT(words, ElementsAre(::testing::AllOf(HasSubstr("1 request of 2"), HasSubstr("short: asked 5, got 3"))));
  EXPECT_THAT(length_warnings(summary({counted_request("good", 10, 5, {{"asked_output_tokens", 5}})})), IsEmpty());
  EXPECT_THAT(length_warnings(summary({counted_request("a", 200, 5, {{"asked_prompt_tokens", 100}})})),
              ElementsAre(HasSubstr("1 prompt of 1")));
}

TEST(PromptChecks, ALoopIsAShareOfTheAnswerInTokensOrInBytes) {
  EXPECT_DOUBLE_EQ(*check_request(counted_request("a", 1, 100, {{"loop_tokens", 40}})).loop_share, 0.4);
  EXPECT_DOUBLE_EQ(
      *check_request(counted_request("a", 1, 100, {{"loop_bytes", 150}, {"answer_bytes", 600}})).loop_share, 0.25);
  EXPECT_FALSE(check_request(counted_request("a", 1, 100)).loop_share);
  EXPECT_THAT(loop_items(summary({counted_request("a", 1, 100, {{"loop_tokens", 40}}), counted_request("b", 1, 100)})),
              ElementsAre(HasSubstr("1 answer of 2 ends in a loop"), HasSubstr("40")));
}

// Kills: a request that was called off counted among the good ones' tokens.
TEST(PromptChecks, WhatAClientCalledOffIsToldApart) {
  auto one = counted_request("a", 10, 7, {{"cancelled", 1}}), other = counted_request("b", 10, 5);
  auto items = cancel_items(summary({one, other}));
  EXPECT_THAT(items, Contains(HasSubstr("1 of 2 requests")));
  EXPECT_THAT(items, Contains(HasSubstr("7 output tokens thrown away")));
  one.output_tokens.reset();
  EXPECT_THAT(cancel_items(summary({one})), Contains(HasSubstr("did not tell")));
  EXPECT_THAT(cancel_items(summary({other})), IsEmpty());
  one.span.attributes = other.span.attributes = {{"model", "m"}};
  EXPECT_EQ(model_rows(summary({one, other})).at(0).output_tokens, 5);
}

// Kills: rates that a client which was kept from reading makes look good, told as if they were the server's.
TEST(PromptChecks, PiecesThatWereReadTogetherAreAWarningFromATenthOn) {
  const auto one = counted_request("a", 10, 50, {{"chunks", 50}, {"chunks_stamped_together", 6}});
  const auto other = counted_request("b", 10, 50, {{"chunks", 50}, {"chunks_stamped_together", 5}});
  auto failed = counted_request("c", 10, 50, {{"chunks", 50}, {"chunks_stamped_together", 50}});
  failed.span.status = SpanStatus::failed;
  EXPECT_THAT(pieces_warnings(summary({one, other, failed})), ElementsAre(HasSubstr("11 % of the answers' pieces")));
  EXPECT_EQ(pieces_read(summary({one, other, failed}))->pieces, 100);
  EXPECT_THAT(pieces_warnings(summary({other, other, failed})), IsEmpty());
  EXPECT_FALSE(pieces_read(summary({counted_request("d", 10, 5)})));
}

// Kills: the one prompt that ran beside nobody else's work, which drew next to nothing, speaking for a hundred others.
TEST(PromptChecks, HowLongAPromptWouldHaveToLastIsToldOfMostAndOfHalfOfThemWhereTheyDiffer) {
  const auto needs = [](std::vector<double> lengths_s) {
    std::vector<RequestRow> rows;
    for (const double length : lengths_s) {
      rows.push_back(counted_request("a", 10, 5));
      rows.back().headline.resolvable = false;
      rows.back().headline.needed_s = length;
    }
    return text::unresolvable(summary(std::move(rows)));
  };
  EXPECT_THAT(needs({0.07, 1.1, 0.05}), ElementsAre(HasSubstr("to last 1.10 s, half of them 70.0 ms (")));
  EXPECT_THAT(needs({0.07, 0.06, 0.05}), ElementsAre(HasSubstr("to last 70.0 ms (")));
}

TEST(PromptChecks, ModelsHaveARowEachWithTokensOfWhatSucceeded) {
  auto a = counted_request("x/1", 10, 5), b = counted_request("y/1", 20, 7), c = counted_request("y/2", 20, 9);
  a.span.attributes = {{"model", "x"}};
  b.span.attributes = c.span.attributes = {{"model", "y"}};
  c.span.status = SpanStatus::failed;
  b.headline.gross = Estimate{14, 7, 21};
  const auto rows = model_rows(summary({a, b, c}));
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].name, "x");
  EXPECT_FALSE(rows[0].gross) << "absent is absent";
  EXPECT_EQ(rows[1].requests, 2U);
  EXPECT_EQ(rows[1].ok, 1U);
  EXPECT_DOUBLE_EQ(rows[1].gross_per_output_token->value, 2);
  EXPECT_DOUBLE_EQ(rows[1].gross_per_output_token->high, 3);
  EXPECT_THAT(model_rows(summary({counted_request("1", 1, 1)})), IsEmpty());
}

RequestRow between_seconds(std::string name, std::int64_t from_s, std::int64_t to_s) {
  RequestRow row = counted_request(std::move(name), 10, 5);
  row.span.interval = {Instant{from_s * 1'000'000'000}, Instant{to_s * 1'000'000'000}};
  row.span.attributes = {{"model", "m"}};
  row.headline.gross = Estimate{100, 90, 110};
  row.headline.charged = Estimate{20, 19, 21};
  return row;
}

// Kills: an overlap with a request that is not the neighbour, and one that only touches.
TEST(RanAtOnce, IsToldOfAnyTwoRequestsThatOverlapAndOfNoneThatTouch) {
  EXPECT_FALSE(ran_at_once(summary({between_seconds("b", 10, 20), between_seconds("a", 0, 10)})));
  EXPECT_TRUE(ran_at_once(
      summary({between_seconds("long", 0, 100), between_seconds("a", 101, 102), between_seconds("b", 99, 100)})));
  EXPECT_FALSE(ran_at_once(summary({counted_request("a", 1, 1), counted_request("b", 1, 1)})))
      << "no time is no overlap";
}

// Kills: what the machine drew in the same second added up for each of the requests that ran in it.
TEST(PromptChecks, OfRequestsThatRanAtOnceAModelHasWhatTheyAreChargedAndNoGross) {
  const auto apart = model_rows(summary({between_seconds("a", 0, 10), between_seconds("b", 10, 20)}));
  EXPECT_DOUBLE_EQ(apart.at(0).gross->value, 200);
  EXPECT_DOUBLE_EQ(apart[0].charged_per_output_token->value, 4);
  const Summary together = summary({between_seconds("a", 0, 10), between_seconds("b", 5, 15)});
  const auto rows = model_rows(together);
  EXPECT_FALSE(rows.at(0).gross);
  EXPECT_FALSE(rows[0].gross_per_output_token);
  EXPECT_DOUBLE_EQ(rows[0].charged->value, 40);
  EXPECT_THAT(models_table(together, 120, false),
              ::testing::AllOf(HasSubstr("charged"), ::testing::Not(HasSubstr("200"))));
}

// Rounds on, off, off, on: per-token times grow by 1 ms a round whatever the sampler does, and by 2 ms with it on.
Summary intrusion_test_of(int prompts, double cost_s) {
  Summary made;
  made.kind = "llm";
  made.manifest.set("intrusion.test", "on, off, off, on", "flag");
  made.events = {{Instant{2'000}, "sampling-rests", "sampler", ""}, {Instant{4'000}, "sampling-wakes", "sampler", ""}};
  for (int round = 1; round <= 4; ++round)
    for (int p = 0; p < prompts; ++p) {
      RequestRow row = counted_request("p" + std::to_string(p) + "#" + std::to_string(round), 5, 10);
      if (round > 1) row.span.counts.emplace_back("repeat", round);
      row.span.interval.begin = Instant{round * 1'000};
      const bool on = round == 1 || round == 4;
      row.e2e_s = 10 * (0.010 + 0.001 * round + (on ? cost_s : 0) + 0.0001 * p * (on ? 1 : 0));
      made.requests.push_back(row);
    }
  return made;
}

// Kills: on and off compared in the order in which they came, so that a warming machine looks like a cost.
TEST(Intrusion, ADriftFromRoundToRoundIsNoCostOfMeasuring) {
  const auto none = intrusion_of(intrusion_test_of(1, 0));
  ASSERT_TRUE(none);
  EXPECT_EQ(none->pairs, 1U);
  EXPECT_NEAR(none->difference_s, 0, 1e-12);
  EXPECT_FALSE(none->low_s) << "one comparison has no interval";
  const auto some = intrusion_of(intrusion_test_of(5, 0.002));
  ASSERT_TRUE(some);
  EXPECT_EQ(some->pairs, 5U);
  EXPECT_NEAR(some->difference_s, 0.0022, 1e-9);
  EXPECT_GT(*some->low_s, 0);
  EXPECT_LT(*some->low_s, some->difference_s);
  EXPECT_GT(*some->high_s, some->difference_s);
}

TEST(Intrusion, AnIncompleteRoundIsNotCompared) {
  Summary made = intrusion_test_of(2, 0.002);
  made.requests[7].span.status = SpanStatus::failed;  // of the second prompt
  ASSERT_TRUE(intrusion_of(made));
  EXPECT_EQ(intrusion_of(made)->pairs, 1U);
  made.requests[6].span.status = SpanStatus::failed;
  EXPECT_FALSE(intrusion_of(made));
  EXPECT_THAT(intrusion_items(made), Contains(HasSubstr("nothing can be compared")));
  made.manifest = {};
  EXPECT_THAT(intrusion_items(made), IsEmpty());
}

}  // namespace
}  // namespace prony
