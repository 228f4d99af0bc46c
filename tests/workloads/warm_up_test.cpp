#include "workloads/warm_up.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace prony {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Pair;

WarmUpRule rule_of(const char* text) {
  const auto rule = warm_up_rule(text);
  EXPECT_TRUE(rule) << text;
  return rule ? *rule : WarmUpRule{};
}

TEST(WarmUp, ARuleSaysWhatIsToBeSteadyAndNothingElseIsTaken) {
  const WarmUpRule rule = rule_of("cv=2.5%,window=4,temp=0.5C/min,power=3%/min,over=10s,most=40,limit=5m");
  EXPECT_EQ(rule.cv, 0.025);
  EXPECT_EQ(rule.window, 4U);
  EXPECT_EQ(rule.celsius_per_min, 0.5);
  EXPECT_EQ(rule.power_share_per_min, 0.03);
  EXPECT_EQ(rule.over_ns, 10'000'000'000);
  EXPECT_EQ(rule.most, 40U);
  EXPECT_EQ(rule.limit_ns, 300'000'000'000);
  for (const char* bad : {"", "cv", "cv=5", "cv=0%", "cv=-5%", "cv=nan%", "temp=", "temp=0", "most=5", "cv=5%,most=3",
                          "cv=5%,window=1", "cv=5%,over=0s", "cv=5%,colour=red", "cv=5%,,", "power=2W"})
    EXPECT_EQ(warm_up_rule(bad).error().where, "--warmup-until") << bad;
}

TEST(WarmUp, ARampIsNoSteadyStateAndItsEndIsSeenWhenTheWindowHasLeftIt) {
  WarmUpJudge judge(rule_of("cv=1%,window=3"));
  std::size_t number = 0, steady_at = 0;
  for (; number < 20 && steady_at == 0; ++number) {
    const double seconds = number < 6 ? 2.0 - 0.2 * static_cast<double>(number) : 0.8;
    judge.answered(seconds, std::nullopt);
    if (judge.steady({})) steady_at = number;
  }
  EXPECT_EQ(steady_at, 8U);  // the first three that are alike are 6, 7 and 8
}

TEST(WarmUp, AnswersOfOtherLengthsAreComparedByTheTokenWhereThatIsKnown) {
  WarmUpJudge judge(rule_of("cv=1%,window=3"));
  for (const double tokens : {10.0, 100.0, 40.0}) judge.answered(tokens * 0.02, 0.02);
  EXPECT_TRUE(judge.steady({}));
  judge.answered(5, std::nullopt);  // one that does not tell: then whole answers are compared
  EXPECT_FALSE(judge.steady({}));
}

TEST(WarmUp, WhatIsAskedOfTheMachineMustBeKnownAndSmallEitherWay) {
  WarmUpJudge judge(rule_of("temp=1,power=5%"));
  EXPECT_FALSE(judge.steady({}));
  EXPECT_FALSE(judge.steady({0.5, std::nullopt}));
  EXPECT_FALSE(judge.steady({-1.5, 0.01}));
  EXPECT_FALSE(judge.steady({0.5, -0.06}));
  EXPECT_TRUE(judge.steady({-0.5, 0.05}));
}

TEST(WarmUp, ItEndsInAnyCaseAndSaysThatItWasNotSteady) {
  WarmUpJudge judge(rule_of("cv=1%,window=2,most=3,limit=10s"));
  judge.answered(1, std::nullopt);
  judge.answered(2, std::nullopt);
  EXPECT_EQ(judge.cap(2, 1'000'000'000), "");
  EXPECT_EQ(judge.cap(3, 1'000'000'000), "at most 3 prompts");
  EXPECT_EQ(judge.cap(2, 10'000'000'000), "at most 10 s");
  const auto facts = judge.facts(3, {}, judge.cap(3, 0));
  EXPECT_THAT(facts, Contains(Pair("warmup.prompts", "3")));
  EXPECT_THAT(facts, Contains(Pair("warmup.steady", "no: at most 3 prompts")));
  EXPECT_THAT(facts, Contains(Pair("warmup.cv", HasSubstr("0.47"))));
  EXPECT_THAT(judge.facts(2, {}, ""), Contains(Pair("warmup.steady", "yes")));
}

TEST(WarmUp, ADriftIsTheSlopeOfALineThroughTheTimeThatIsLookedAt) {
  Drift drift;
  EXPECT_FALSE(drift.line(10));
  for (int i = 0; i <= 100; ++i) drift.add(i, i < 50 ? 20.0 : 20.0 + 0.5 * (i - 50));
  ASSERT_TRUE(drift.line(30));
  EXPECT_NEAR(drift.line(30)->per_s, 0.5, 1e-9);
  EXPECT_NEAR(drift.line(30)->mean, 20 + 0.5 * 35, 1e-9);
  EXPECT_FALSE(drift.line(200)) << "it was not watched for that long";
  drift.forget_before(80);
  EXPECT_FALSE(drift.line(30));
  EXPECT_NEAR(drift.line(20)->per_s, 0.5, 1e-9);
}

}  // namespace
}  // namespace prony
