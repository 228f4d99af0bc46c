#include "app/study_page.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/study_charts.hpp"
#include "app/study_data.hpp"

namespace prony::app {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using Settings = std::vector<std::pair<std::string, std::string>>;

void add_variant(StudyManifest& manifest, const std::string& name, const Settings& settings) {
  nlohmann::ordered_json row{{"name", name}, {"settings", nlohmann::ordered_json::array()}};
  for (const auto& [key, value] : settings) row["settings"].push_back({{"key", key}, {"value", value}});
  manifest.variants.push_back(row);
}

void add_done(StudyManifest& manifest, const std::string& variant, std::size_t cycle, const StudyFigures& figures,
              const std::string& origin = "measured") {
  StudyRun run;
  run.number = manifest.runs.size() + 1;
  run.variant = variant;
  run.cycle = cycle;
  run.status = "done";
  StudyAttempt attempt;
  attempt.status = "done";
  attempt.origin = origin;
  attempt.figures = figures;
  run.attempts.push_back(attempt);
  manifest.runs.push_back(run);
}

StudyFigures token(double joules, double rate) {
  return {{"gross_j_per_output_token", joules}, {"output_tokens_per_s", rate}, {"output_tokens", 64}};
}

// threads 10 and 2 (words would put 10 first) × two models, two cycles each.
StudyManifest grid() {
  StudyManifest manifest;
  manifest.name = "grid";
  manifest.kind = "llm";
  double joules = 0.001;
  for (const char* threads : {"10", "2"})
    for (const char* model : {"a.gguf", "b.gguf"}) {
      const std::string name = std::string("threads=") + threads + " " + model;
      add_variant(manifest, name, {{"model", model}, {"threads", threads}, {"seed", "1"}});
      for (std::size_t cycle = 0; cycle < 2; ++cycle)
        add_done(manifest, name, cycle, token(joules + 0.0001 * static_cast<double>(cycle), 10 / joules));
      joules *= 2;
    }
  return manifest;
}

TEST(StudyData, WhatWasVariedHasItsLevelsNumbersInOrder) {
  const StudyData data = study_data(grid());
  ASSERT_EQ(data.factors.size(), 2U);  // of one level nothing can be shown
  EXPECT_EQ(data.factors[0].key, "model");
  EXPECT_EQ(data.factors[1].key, "threads");
  EXPECT_THAT(data.factors[1].levels, ElementsAre("2", "10"));
  EXPECT_THAT(data.levels[0], ElementsAre(0U, 1U));
  EXPECT_THAT(data.levels[3], ElementsAre(1U, 0U));
  EXPECT_THAT(data.values(0, "gross_j_per_output_token"), ElementsAre(0.001, 0.0011));
}

TEST(StudyData, AVariantWithoutASettingHasNoLevelOfIt) {
  StudyManifest manifest = grid();
  add_variant(manifest, "plain", {{"model", "a.gguf"}});
  add_done(manifest, "plain", 0, token(0.001, 1));
  const StudyData data = study_data(manifest);
  EXPECT_EQ(data.levels[4][1], std::nullopt);
}

// Kills: modelled joules in one mean or chart with measured ones.
TEST(StudyData, JoulesOfAnotherOriginAreLeftOutAndTimesAreNot) {
  StudyManifest manifest = grid();
  add_done(manifest, "threads=10 a.gguf", 2, token(99, 5), "modelled");
  const StudyData data = study_data(manifest);
  EXPECT_EQ(data.origin, "measured");
  EXPECT_EQ(data.other_origins, 1U);
  EXPECT_THAT(data.values(0, "gross_j_per_output_token"), ElementsAre(0.001, 0.0011));
  EXPECT_EQ(data.values(0, "output_tokens_per_s").size(), 3U);
  EXPECT_THAT(study_page(manifest, {}), HasSubstr("1 runs have joules of another origin"));
}

TEST(StudyData, AFigureThatEveryRunHasComesBeforeABetterOneThatSomeHave) {
  StudyManifest manifest = grid();
  EXPECT_EQ(study_measures(study_data(manifest)).front().figure, "gross_j_per_output_token");
  manifest.runs[0].attempts[0].figures["charged_j_per_output_token"] = 0.0005;
  EXPECT_EQ(study_measures(study_data(manifest)).front().figure, "gross_j_per_output_token");
  for (StudyRun& run : manifest.runs) run.attempts[0].figures["charged_j_per_output_token"] = 0.0005;
  EXPECT_EQ(study_measures(study_data(manifest)).front().figure, "charged_j_per_output_token");
  manifest.kind = "cold-start";
  EXPECT_THAT(study_measures(study_data(manifest)), IsEmpty());
}

TEST(StudyCharts, VariantsStandInTheOrderOfTheirMeansWithHowManyTimesTheBestTheyAre) {
  const StudyData data = study_data(grid());
  const std::string chart = spread_chart(data, study_measures(data).front());
  const auto best = chart.find("threads=10 a.gguf</text>"), worst = chart.find("threads=2 b.gguf</text>");
  ASSERT_NE(best, std::string::npos);
  ASSERT_NE(worst, std::string::npos);
  EXPECT_LT(best, worst);
  EXPECT_THAT(chart, AllOf(HasSubstr("× 1.00"), HasSubstr("× 7.67")));  // 8.05 of 1.05
  // Of speed the most is the best.
  const std::string speed = spread_chart(data, study_measures(data)[1]);
  EXPECT_LT(speed.find("threads=10 a.gguf</text>"), speed.find("threads=2 b.gguf</text>"));
}

// Kills: relative figures that mix combinations: those of b would be 2 at their first level.
TEST(StudyCharts, RelativeFiguresAreOfTheFirstLevelOfTheSameCombination) {
  const StudyData data = study_data(grid());
  const StudyMeasure measure = study_measures(data).front();
  const std::string chart = factor_chart(data, 1, measure, true);
  EXPECT_THAT(chart, AllOf(HasSubstr("model a.gguf: 0.9877"), HasSubstr("model b.gguf: 0.9938")));
  EXPECT_THAT(factor_chart(data, 1, measure, false), HasSubstr("model a.gguf: 1.100"));
}

TEST(StudyCharts, OfTwoSettingsEachCellIsItsMeanAndTheBestIsRinged) {
  const StudyData data = study_data(grid());
  const std::string chart = heat_chart(data, 0, 1, study_measures(data).front());
  for (const char* mean : {">1.050<", ">2.050<", ">4.050<", ">8.050<"}) EXPECT_THAT(chart, HasSubstr(mean));
  // Model a, 10 threads: the second column of the first row.
  EXPECT_THAT(chart, HasSubstr("<rect x=\"241.0\" y=\"61.0\" width=\"88.0\" height=\"28.0\" class=\"ring\""));
}

TEST(StudyCharts, WhatCannotBeShownIsNoChart) {
  StudyManifest one;
  one.kind = "llm";
  add_variant(one, "only", {{"threads", "1"}});
  add_done(one, "only", 0, token(0.001, 1));
  const StudyData data = study_data(one);
  const auto measures = study_measures(data);
  EXPECT_EQ(spread_chart(data, measures.front()), "");
  EXPECT_EQ(scatter_chart(data, measures[1], measures[0]), "");
  EXPECT_EQ(parallel_chart(data, measures), "");
  EXPECT_EQ(correlation_chart(data, measures), "");
  EXPECT_EQ(correlation_chart(study_data(grid()), study_measures(study_data(grid()))),
            "");  // four variants say nothing
  EXPECT_EQ(trace_chart({}), "");
}

TEST(StudyPage, HasATableEvenIfNothingRanAndSaysWhyNot) {
  StudyManifest manifest = grid();
  for (StudyRun& run : manifest.runs) {
    run.status = run.attempts[0].status = "failed";
    run.attempts[0].reason = "no <room>";
  }
  const std::string page = study_page(manifest, {});
  EXPECT_THAT(page, AllOf(HasSubstr("0 of 8 runs done"), HasSubstr("no &lt;room&gt;"), HasSubstr("0/2"),
                          Not(HasSubstr("<svg"))));
}

TEST(StudyPage, SaysWhatJoulesAreAndFetchesNothing) {
  StudyManifest manifest = grid();
  manifest.name = "<script>alert(1)</script>";
  for (StudyRun& run : manifest.runs) run.attempts[0].origin = "modelled";
  const std::string page = study_page(manifest, {{"threads=2 a.gguf", "modelled", 2, {10, 12, 11, 10}}});
  EXPECT_THAT(page,
              AllOf(HasSubstr("Joules are modelled: "), HasSubstr("W, modelled"), HasSubstr("Of 1 of 4 variants")));
  EXPECT_THAT(page, AllOf(Not(HasSubstr("<script")), Not(HasSubstr("src=")), Not(HasSubstr("http")),
                          Not(HasSubstr("@import"))));
  EXPECT_THAT(page, HasSubstr("the same in every run"));  // output_tokens
  for (StudyRun& run : manifest.runs) run.attempts[0].origin = "simulated";
  EXPECT_THAT(study_page(manifest, {}), HasSubstr("no joule on this page is real"));
}

}  // namespace
}  // namespace prony::app
