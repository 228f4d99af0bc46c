#include "compare/merit.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace prony::compare {
namespace {

RunFigures merit_run(double tokens_per_s, double joules_per_token, double mbu, double share) {
  RunFigures run;
  run.origin = Origin::measured;
  run.figures.assign(metric_count, Unexpected<metrics::Absent>(metrics::Absent{"not told"}));
  run.figures[*metric_from("output_tokens_per_s")] = Measured{tokens_per_s, std::nullopt};
  run.figures[*metric_from("decode_tokens_per_s")] = Measured{tokens_per_s, std::nullopt};
  run.figures[*metric_from("run_gross_j_per_output_token")] = Measured{joules_per_token, std::nullopt};
  run.merit.mbu = mbu;
  run.merit.cpu_share = share;
  run.merit.tokens_per_word = 1.5;
  return run;
}
Merit merit(RunFigures before, RunFigures after, const MeritOptions& options = {}) {
  return merit_of({"before", {std::move(before)}}, {"after", {std::move(after)}}, options);
}

// Kills: an arithmetic mean, joules per token for tokens per joule, weights that do not sum to one.
TEST(Merit, IsTheGeometricMeanOfWhatTheSecondHasOfTheFirst) {
  const auto told = merit(merit_run(4, 2, 0.2, 0.5), merit_run(8, 1, 0.3, 0.25));
  ASSERT_TRUE(told.full && told.reduced);
  EXPECT_NEAR(*told.parts[0].ratio, 2, 1e-12);
  EXPECT_NEAR(*told.parts[1].ratio, 1.5, 1e-12);
  EXPECT_NEAR(*told.parts[2].ratio, 0.5, 1e-12);
  EXPECT_NEAR(*told.parts[3].ratio, 2, 1e-12);
  EXPECT_NEAR(*told.full, std::pow(2 * 1.5 * 0.5 * 2, 0.25), 1e-12);
  EXPECT_NEAR(*told.reduced, 2, 1e-12);
  MeritOptions options;
  options.weights = {3, 0, 0, 1};
  EXPECT_NEAR(*merit(merit_run(4, 2, 0.2, 0.5), merit_run(8, 0.5, 0.3, 0.25), options).full, std::pow(8 * 4, 0.25),
              1e-12);
  EXPECT_NEAR(*merit(merit_run(4, 2, 0.2, 0.5), merit_run(4, 2, 0.2, 0.5)).full, 1, 1e-12);
}

TEST(Merit, ThroughputAndEnergyAreTimesTheParametersWhereBothTellThem) {
  auto before = merit_run(4, 2, 0.2, 0.5), after = merit_run(2, 4, 0.2, 0.5);
  before.merit.parameters = 1e9;
  EXPECT_FALSE(merit(before, after).by_parameters);
  EXPECT_NEAR(*merit(before, after).reduced, 0.5, 1e-12);
  after.merit.parameters = 3e9;
  EXPECT_TRUE(merit(before, after).by_parameters);
  EXPECT_NEAR(*merit(before, after).reduced, 1.5, 1e-12);
}

// Kills: a part that is not known taken for 1, and the mean told over the rest as if it were of all.
TEST(Merit, APartThatIsNotKnownLeavesTheWholeUntoldByNameAndTheOthersThere) {
  auto before = merit_run(4, 2, 0.2, 0.5);
  before.merit.mbu = Unexpected<metrics::Absent>(metrics::Absent{"no peak of the memory"});
  const auto told = merit(before, merit_run(8, 1, 0.3, 0.25));
  EXPECT_FALSE(told.full);
  EXPECT_EQ(told.full_absent, "bandwidth: before: no peak of the memory");
  EXPECT_NEAR(*told.reduced, 2, 1e-12);
  const std::string text = to_text(told, 100, false);
  for (const char* word : {"throughput", "bandwidth", "CPU", "energy", "no peak of the memory", "2.000 ×"})
    EXPECT_NE(text.find(word), std::string::npos) << word << "\n" << text;
  MeritOptions without;
  without.weights = {1, 0, 1, 1};
  EXPECT_NEAR(*merit(before, merit_run(8, 1, 0.3, 0.25), without).full, std::cbrt(2.0), 1e-12);
  EXPECT_FALSE(merit(merit_run(0, 2, 0.2, 0.5), merit_run(8, 1, 0.3, 0.25)).full);
}

TEST(Merit, ModelledJoulesAreNoEfficiencyAgainstMeasuredOnes) {
  auto after = merit_run(8, 1, 0.3, 0.25);
  after.origin = Origin::modelled;
  const auto told = merit(merit_run(4, 2, 0.2, 0.5), after);
  EXPECT_FALSE(told.parts[3].ratio || told.full || told.reduced);
  EXPECT_TRUE(told.parts[3].before && told.parts[3].after);
  MeritOptions any;
  any.any_origin = true;
  EXPECT_TRUE(merit(merit_run(4, 2, 0.2, 0.5), after, any).full);
}

TEST(Merit, UsableIsAsManyWordsASecondAsAreRead) {
  const auto told = merit(merit_run(4.5, 2, 0.2, 0.5), merit_run(4.4, 1, 0.3, 0.25));
  EXPECT_TRUE(*told.before.fast_enough);  // 4.5 tokens/s at 1.5 tokens a word: 3 words/s
  EXPECT_FALSE(*told.after.fast_enough);
  MeritOptions slower;
  slower.words_per_s = 2;
  EXPECT_TRUE(*merit(merit_run(4.5, 2, 0.2, 0.5), merit_run(4.4, 1, 0.3, 0.25), slower).after.fast_enough);
  auto untold = merit_run(4, 2, 0.2, 0.5);
  untold.merit.tokens_per_word = Unexpected<metrics::Absent>(metrics::Absent{"no answers"});
  EXPECT_FALSE(merit(untold, untold).before.fast_enough);
  EXPECT_EQ(merit(untold, untold).before.absent, "no answers");
}

TEST(Merit, WeightsAreFourNumbersFromZeroOn) {
  EXPECT_EQ(parse_weights("2,1,0.5,0").value(), (std::array<double, 4>{2, 1, 0.5, 0}));
  for (const char* text : {"", "1", "1,1,1", "1,1,1,1,1", "1,1,1,-1", "1,1,1,x", "0,0,0,0", "1,1,1,inf", "nan,1,1,1"})
    EXPECT_FALSE(parse_weights(text)) << text;
}

}  // namespace
}  // namespace prony::compare
