#include "compare/comparison.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compare/comparison_text.hpp"

namespace prony::compare {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::size_t per_token = 0, ttft_metric = 8;  // rows of metric_rows()

RunFigures run_of(double joules_per_token, std::string cycle = "", Origin origin = Origin::measured) {
  RunFigures run;
  run.path = "run-" + cycle + ".prony";
  run.cycle = std::move(cycle);
  run.origin = origin;
  run.figures.assign(metric_count, Unexpected<metrics::Absent>(metrics::Absent{"not told"}));
  run.figures[per_token] = Measured{joules_per_token, Estimate{joules_per_token, joules_per_token * 0.99,
                                                               joules_per_token * 1.01, EstimateKind::bound}};
  return run;
}
RunFigures with_requests(std::vector<std::pair<std::string, double>> ttft, std::int64_t tokens) {
  RunFigures run = run_of(1);
  for (const auto& [key, value] : ttft) {
    RequestFigures request;
    request.key = key;
    request.values[ttft_metric] = value;
    request.output_tokens = tokens;
    run.requests.push_back(request);
    ++run.asked;
  }
  return run;
}
Variant variant(std::string name, std::vector<RunFigures> runs) { return {std::move(name), std::move(runs)}; }
Comparison compared(std::vector<RunFigures> before, std::vector<RunFigures> after, CompareOptions options = {}) {
  return compare_variants(variant("before", std::move(before)), variant("after", std::move(after)), options);
}
GateOutcome gated(const char* text, const Comparison& comparison) {
  return gate(parse_condition(text).value(), comparison);
}

// The pairs of SciPy's ttest_rel in statistics_test.cpp: what pairs tell, sets of the same values tell less well.
const std::vector<double> earlier = {1.36, 1.42, 1.31, 1.39, 1.33}, later = {1.44, 1.53, 1.40, 1.46, 1.45};

TEST(Comparison, CyclesThatBothSidesNameArePairedWhateverTheirOrder) {
  std::vector<RunFigures> before, after;
  for (std::size_t i = 0; i < 5; ++i) before.push_back(run_of(earlier[i], std::to_string(i)));
  for (std::size_t i = 5; i-- > 0;) after.push_back(run_of(later[i], std::to_string(i)));
  const auto row = compared(before, after).rows[per_token];
  EXPECT_TRUE(row.paired);
  EXPECT_NEAR(row.change->low, 0.06825230732070918, 1e-9);
  EXPECT_NEAR(row.relative->low, 0.049827520250529146, 1e-9);
  const auto sets = compared(before, after, {.pairing = Pairing::no}).rows[per_token];
  EXPECT_FALSE(sets.paired);
  EXPECT_NEAR(sets.change->low, 0.027121042770280032, 1e-9);
}
TEST(Comparison, CyclesThatOneSideLacksAreNotPaired) {
  const auto row = compared({run_of(1, "1"), run_of(1.1, "2")}, {run_of(1, "1"), run_of(1.1, "3")}).rows[per_token];
  EXPECT_FALSE(row.paired);
}
TEST(Comparison, OneRunOnEachSideIsComparedByItsPrompts) {
  const auto c = compared({with_requests({{"a#1", 0.10}, {"b#1", 0.20}, {"c#1", 0.30}}, 10)},
                          {with_requests({{"c#1", 0.33}, {"a#1", 0.11}, {"b#1", 0.22}}, 10)});
  const auto& row = c.rows[ttft_metric];
  EXPECT_EQ(row.basis, Basis::requests);
  EXPECT_TRUE(row.paired);
  EXPECT_NEAR(row.relative->value, 0.1, 1e-12);
  EXPECT_NEAR(row.relative->low, 0.1, 1e-12);  // each pair by the same factor: nothing scatters
  EXPECT_THAT(c.guards, Contains(HasSubstr("one Run on each side")));
}
TEST(Comparison, AnswersOfOtherLengthsAreSaid) {
  const auto c =
      compared({with_requests({{"a#1", 0.1}, {"b#1", 0.2}}, 20)}, {with_requests({{"a#1", 0.1}, {"b#1", 0.2}}, 15)});
  EXPECT_THAT(c.guards,
              Contains(HasSubstr("20.0 output tokens a request before, 15.0 after (-25.0 %, 2 of 2 prompts)")));
  const auto same =
      compared({with_requests({{"a#1", 0.1}, {"b#1", 0.2}}, 20)}, {with_requests({{"a#1", 0.1}, {"b#1", 0.2}}, 20)});
  EXPECT_THAT(same.guards, Not(Contains(HasSubstr("lengths"))));
}
TEST(Comparison, OneFigureOnEachSideLeavesWhatTheSensorsDo) {
  const auto row = compared({run_of(1)}, {run_of(1.1)}).rows[per_token];
  EXPECT_EQ(row.basis, Basis::sensors);
  EXPECT_NEAR(row.relative->low, 1.1 * 0.99 / 1.01 - 1, 1e-12);
  EXPECT_NEAR(row.relative->high, 1.1 * 1.01 / 0.99 - 1, 1e-12);
  EXPECT_FALSE(row.hedges_g.has_value());
}
TEST(Comparison, ModelledJoulesAreNotComparedWithMeasuredOnesUnlessAsked) {
  const std::vector<RunFigures> a = {run_of(1), run_of(1.01)},
                                b = {run_of(2, "", Origin::modelled), run_of(2.01, "", Origin::modelled)};
  const auto refused = compared(a, b);
  EXPECT_FALSE(refused.rows[per_token].relative.has_value());
  EXPECT_THAT(refused.guards,
              Contains(HasSubstr("different origin are not compared: measured before, modelled after")));
  const auto outcome = gated("j_per_output_token > +5%", refused);
  EXPECT_EQ(outcome.verdict, Verdict::cannot_tell);
  EXPECT_THAT(outcome.why, HasSubstr("different origin"));
  EXPECT_TRUE(compared(a, b, {.any_origin = true}).rows[per_token].relative.has_value());
}
TEST(Comparison, SimulatedJoulesAreNotComparedWithRealOnes) {
  auto simulated = run_of(1);
  simulated.simulated = "laptop";
  EXPECT_FALSE(compared({run_of(1)}, {simulated}).rows[per_token].relative.has_value());
  const auto both = compared({simulated}, {simulated});
  EXPECT_TRUE(both.rows[per_token].relative.has_value());
  EXPECT_THAT(both.guards, Contains("simulated: no joule here is real"));
}
// A mean over the Runs that could tell would be of other work than its neighbour's.
TEST(Comparison, ARunWithoutAFigureLeavesTheRowWithoutOne) {
  auto none = run_of(1, "2");
  none.figures[per_token] = Unexpected<metrics::Absent>(metrics::Absent{"not resolvable"});
  const auto row = compared({run_of(1, "1"), none}, {run_of(1, "1"), run_of(1, "2")}).rows[per_token];
  EXPECT_FALSE(row.relative.has_value());
  EXPECT_FALSE(row.mean_before.has_value());
  EXPECT_EQ(row.absent, "not resolvable (run-2.prony)");
}
TEST(Comparison, WhatDiffersBetweenSidesIsListedAndWhatVariesWithinOneIsNot) {
  auto a1 = run_of(1), a2 = run_of(1), b1 = run_of(1), b2 = run_of(1);
  for (auto* run : {&a1, &a2}) run->manifest.set("model.quantisation", "F16", "machine");
  for (auto* run : {&b1, &b2}) run->manifest.set("model.quantisation", "Q8_0", "machine");
  for (auto* run : {&a1, &a2, &b1, &b2}) run->manifest.set("machine.cpu_model", "X", "machine");
  a1.manifest.set("machine.load", "0.1", "machine");
  a2.manifest.set("machine.load", "0.2", "machine");
  const auto c = compared({a1, a2}, {b1, b2});
  ASSERT_EQ(c.settings.size(), 1U);
  EXPECT_EQ(c.settings[0].key, "model.quantisation");
  EXPECT_EQ(c.settings[0].after, "Q8_0");
}
TEST(Gate, AConditionIsDecidedByTheWholeInterval) {
  const auto c = compared({run_of(1.00, "1"), run_of(1.02, "2"), run_of(0.98, "3")},
                          {run_of(1.10, "1"), run_of(1.12, "2"), run_of(1.08, "3")}, {.pairing = Pairing::no});
  ASSERT_TRUE(c.rows[per_token].relative.has_value());  // about +10 % (5…15)
  EXPECT_EQ(gated("j_per_output_token > +2%", c).verdict, Verdict::yes);
  EXPECT_EQ(gated("j_per_output_token > +20%", c).verdict, Verdict::no);
  EXPECT_EQ(gated("j_per_output_token > +10%", c).verdict, Verdict::cannot_tell);
  EXPECT_EQ(gated("charged_j_per_output_token < -1%", c).verdict, Verdict::no);
  EXPECT_EQ(gated("j_per_output_token > 0.5J", c).verdict, Verdict::yes);
  EXPECT_EQ(gated("j_per_output_token > +500mJ", c).verdict, Verdict::no);
  EXPECT_EQ(gated("ttft_s > +5%", c).verdict, Verdict::cannot_tell);
}
TEST(Gate, ALimitIsReadInItsUnit) {
  EXPECT_DOUBLE_EQ(parse_condition("ttft_s>=+20ms").value().limit, 0.02);
  EXPECT_TRUE(parse_condition("ttft_s>=+20ms").value().inclusive);
  EXPECT_EQ(parse_condition(" wall_s < -3 s").value().of, Condition::Of::change);
  EXPECT_DOUBLE_EQ(parse_condition("memory_peak_bytes > 2GiB").value().limit, 2147483648.0);
  EXPECT_EQ(parse_condition("tokens_per_s < -5%").value().of, Condition::Of::relative_change);
}
TEST(Gate, WhatIsNoConditionIsSaidWithTheWordThatIsOff) {
  const auto what = [](const char* text) {
    return parse_condition(text).error().what + " / " + parse_condition(text).error().fix;
  };
  EXPECT_THAT(what("j_per_output_tokn > +5%"), HasSubstr("Did you mean 'j_per_output_token'?"));
  EXPECT_THAT(what("j_per_output_token"), HasSubstr("no > or <"));
  EXPECT_THAT(what("j_per_output_token > 5%"), HasSubstr("is it +5% or -5%?"));
  EXPECT_THAT(what("ttft_s > +5J"), HasSubstr("'J' is no unit of ttft_s"));
  EXPECT_THAT(what("ttft_s > +5 fortnights"), HasSubstr("no unit 'fortnights'"));
  EXPECT_THAT(what("ttft_s > soon"), HasSubstr("'soon' is no limit"));
  EXPECT_THAT(what("> +5%"), HasSubstr("no metric is named"));
  EXPECT_THAT(what("ttft_s > "), HasSubstr("is no limit"));
}
TEST(ComparisonText, SaysWhatGotWorseAndWhatCouldNotBeTold) {
  const auto c = compared({run_of(1.00, "1"), run_of(1.02, "2"), run_of(0.98, "3")},
                          {run_of(1.20, "1"), run_of(1.23, "2"), run_of(1.18, "3")});
  const auto text = to_text(c, {gated("j_per_output_token > +5%", c)}, {.width = 140});
  EXPECT_THAT(text, HasSubstr("worse"));
  EXPECT_THAT(text, HasSubstr("3 pairs"));
  EXPECT_THAT(text, HasSubstr("j_per_output_token > +5%  →  yes"));
  const auto json = to_json(c, {});
  EXPECT_EQ(json["schema"], "prony.compare/1");
  EXPECT_EQ(json["metrics"][0]["metric"], "charged_j_per_output_token");
  EXPECT_TRUE(json["metrics"][0]["after"].contains("mean_bootstrap_bca_95"));
  EXPECT_EQ(json["metrics"][1]["absent"], "not told (run-1.prony)");
}

}  // namespace
}  // namespace prony::compare
