#include "app/study_best.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace prony::app {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

StudyData three_variants() {
  StudyData data;
  data.variants = {"default", "thrifty", "late"};
  data.origin = "measured";
  const auto add = [&](std::size_t variant, double joules, double wait, double rate) {
    data.points.push_back({variant, 0, {{"gross_j", joules}, {"ttft_s", wait}, {"output_tokens_per_s", rate}}});
  };
  for (const double more : {0.0, 0.01}) {
    add(0, 10 + more, 0.2 + more / 100, 50);
    add(1, 8 + more, 0.3 + more / 100, 40);
    add(2, 5 + more, 0.9 + more / 100, 30);
  }
  return data;
}

std::vector<StudyLimit> limits(const std::vector<std::string>& texts) {
  std::vector<StudyLimit> out;
  for (const std::string& text : texts) {
    auto limit = study_limit_from(text);
    EXPECT_TRUE(limit) << text;
    if (limit) out.push_back(*limit);
  }
  return out;
}

std::vector<std::string> order(const StudyRanking& ranking) {
  std::vector<std::string> names;
  for (const RankedVariant& one : ranking.variants) names.push_back(one.name);
  return names;
}

// Kills: the least of all, whatever it breaks; a share of the best in the place of the first.
TEST(StudyBest, IsTheLeastOfThoseThatKeepToTheLimitsHeldAgainstTheFirst) {
  const StudyData data = three_variants();
  const auto all = study_ranking(data, "gross_j", {});
  ASSERT_TRUE(all);
  EXPECT_THAT(order(*all), ElementsAre("late", "thrifty", "default"));
  const auto asked = study_ranking(data, "gross_j", limits({"ttft_s < 0.5"}));
  ASSERT_TRUE(asked);
  EXPECT_THAT(order(*asked), ElementsAre("thrifty", "default", "late"));
  ASSERT_NE(asked->best(), nullptr);
  EXPECT_EQ(asked->first, "default");
  EXPECT_NEAR(*asked->best()->against_first, 8.005 / 10.005 - 1, 1e-12);
  EXPECT_FALSE(asked->variants[1].against_first);
  EXPECT_THAT(asked->variants[2].broken, ElementsAre("ttft_s 0.9001"));
  EXPECT_THAT(ranking_text(*asked, limits({"ttft_s < 0.5"}), "measured", 100, false),
              AllOf(HasSubstr("best           thrifty with ttft_s < 0.5"), HasSubstr("-20.0 % against default")));
}

TEST(StudyBest, OfTokensASecondTheMostIsTheBestAndALimitMayBeFromBelow) {
  const auto ranking =
      study_ranking(three_variants(), "output_tokens_per_s", limits({"gross_j<9", "output_tokens_per_s > 35"}));
  ASSERT_TRUE(ranking);
  EXPECT_THAT(order(*ranking), ElementsAre("thrifty", "default", "late"));
}

TEST(StudyBest, NoneThatKeepsToTheLimitsIsNoBest) {
  const auto ranking = study_ranking(three_variants(), "gross_j", limits({"ttft_s < 0.1"}));
  ASSERT_TRUE(ranking);
  EXPECT_EQ(ranking->best(), nullptr);
  EXPECT_THAT(ranking_text(*ranking, limits({"ttft_s < 0.1"}), "", 100, false), HasSubstr("none with ttft_s < 0.1"));
  // What no run tells is not kept to.
  EXPECT_EQ(study_ranking(three_variants(), "gross_j", limits({"load_s < 5"}))->best(), nullptr);
}

// Kills: a limit that the mean keeps to by chance told as kept.
TEST(StudyBest, ALimitWithinTheIntervalOrOfOneRunIsNotSure) {
  StudyData data = three_variants();
  EXPECT_TRUE(study_ranking(data, "gross_j", limits({"ttft_s < 0.5"}))->variants[0].sure);
  const auto close = study_ranking(data, "gross_j", limits({"ttft_s < 0.3002"}));
  EXPECT_EQ(close->variants[0].name, "thrifty");
  EXPECT_FALSE(close->variants[0].sure);
  data.points.resize(3);
  EXPECT_FALSE(study_ranking(data, "gross_j", limits({"ttft_s < 0.5"}))->variants[0].sure);
}

TEST(StudyBest, WhatIsNoLimitOrNoFigureIsRefusedWithTheNearestName) {
  for (const char* text : {"", "ttft_s", "ttft_s < fast", "ttft_s < nan", "< 5"})
    EXPECT_FALSE(study_limit_from(text)) << text;
  EXPECT_THAT(study_limit_from("tftt_s < 1").error().fix, HasSubstr("'ttft_s'"));
  EXPECT_THAT(study_ranking(three_variants(), "gros_j", {}).error().fix, HasSubstr("'gross_j'"));
  EXPECT_EQ(study_ranking(three_variants(), "load_j", {}).error().code, ErrorCode::absent);
}

}  // namespace
}  // namespace prony::app
