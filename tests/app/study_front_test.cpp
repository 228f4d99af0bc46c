#include "app/study_front.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace prony::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

void add_run(StudyManifest& manifest, const std::string& variant, double joules, double rate,
             const std::string& origin = "measured") {
  StudyRun run;
  run.number = manifest.runs.size() + 1;
  run.variant = variant;
  run.status = "done";
  StudyAttempt attempt;
  attempt.status = "done";
  attempt.origin = origin;
  attempt.figures = {{"charged_j_per_output_token", joules}, {"output_tokens_per_s", rate}};
  run.attempts.push_back(attempt);
  manifest.runs.push_back(run);
}

StudyManifest study(const std::vector<std::string>& names) {
  StudyManifest manifest;
  manifest.kind = "llm";
  for (const std::string& name : names) manifest.variants.push_back({{"name", name}});
  return manifest;
}

// Kills: a front of the single best in each figure, one that takes what is beaten in both, and a tie that beats itself.
TEST(StudyFront, OfVariantsThoseAreOnItThatNoOtherBeatsInBoth) {
  StudyManifest manifest = study({"thrifty", "fast", "between", "beaten", "twin"});
  add_run(manifest, "thrifty", 0.001, 100);
  add_run(manifest, "fast", 0.004, 400);
  add_run(manifest, "between", 0.002, 200);
  add_run(manifest, "beaten", 0.003, 150);
  add_run(manifest, "twin", 0.002, 200);
  const StudyFront front = study_front(manifest);
  ASSERT_EQ(front.points.size(), 5U);
  EXPECT_THAT(front_words(front), testing::StartsWith("thrifty, fast, between, twin: "));
  EXPECT_FALSE(front.points[0].joules.low);  // one run has no interval
}

TEST(StudyFront, MeansAreOverCyclesWithTheirIntervals) {
  StudyManifest manifest = study({"a", "b"});
  for (const double joules : {0.001, 0.003}) add_run(manifest, "a", joules, 100);
  add_run(manifest, "b", 0.004, 90);
  const StudyFront front = study_front(manifest);
  EXPECT_DOUBLE_EQ(front.points[0].joules.mean, 0.002);
  ASSERT_TRUE(front.points[0].joules.low);
  EXPECT_NEAR(*front.points[0].joules.low, 0.002 - 12.706 * 0.001, 1e-6);
  EXPECT_TRUE(front.points[0].best);
  EXPECT_FALSE(front.points[1].best);
}

// Kills: modelled joules on one axis with measured ones; the mean of the runs that happen to have joules.
TEST(StudyFront, WhatHasNoJoulesOrOthersOfAnotherOriginIsNotOnIt) {
  StudyManifest manifest = study({"a", "b", "c"});
  add_run(manifest, "a", 0.001, 100);
  add_run(manifest, "b", 0.001, 100, "modelled");
  add_run(manifest, "c", 0.002, 100);
  add_run(manifest, "c", 0.002, 100);
  manifest.runs.back().attempts.back().figures.erase("output_tokens_per_s");
  const StudyFront front = study_front(manifest);
  ASSERT_EQ(front.points.size(), 1U);
  EXPECT_EQ(front_words(front), "");
  EXPECT_EQ(front_svg(front, "s"), "");
  EXPECT_TRUE(study_front(study({})).points.empty());
}

TEST(StudyFront, ItsPictureIsADocumentOfItsOwnWhateverTheNames) {
  StudyManifest manifest = study({"<a & \"b\">", "plain"});
  add_run(manifest, "<a & \"b\">", 0.001, 100, "modelled");
  add_run(manifest, "plain", 0.001, 100, "modelled");
  const std::string svg = front_svg(study_front(manifest), "x</svg>");
  EXPECT_THAT(svg, HasSubstr("&lt;a &amp; &quot;b&quot;&gt;"));
  EXPECT_THAT(svg, HasSubstr("x&lt;/svg&gt;"));
  EXPECT_THAT(svg, HasSubstr("mJ per output token, modelled (less is better)"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_EQ(svg.find("</svg>"), svg.size() - 7);
}

}  // namespace
}  // namespace prony::app
