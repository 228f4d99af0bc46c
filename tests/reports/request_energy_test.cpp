// Joules by token, request and phase, over a Summary whose every figure a test sets.
#include "reports/request_energy.hpp"

#include <gtest/gtest.h>

namespace prony {
namespace {

Estimate joules(double value, double doubt) { return {value, value - doubt, value + doubt, EstimateKind::interval_95}; }

struct Made {
  Summary summary;
  std::uint64_t next = 10;

  Made() {
    EnergyRow row;
    row.channel.id = ChannelId{1};
    row.channel.name = "rapl.package-0.energy";
    row.channel.domain = "package-0";
    row.ledger.channel = ChannelId{1};
    row.ledger.headline = true;
    row.ledger.recorded = joules(1000, 1);
    row.ledger.idle_w = joules(10, 1);
    row.ledger.loaded_idle_w = joules(14, 1);
    summary.energy.push_back(row);
    summary.headline_j = joules(900, 1);
    summary.kind = "llm";
  }
  RequestRow& request(double charged, std::int64_t prompt, std::int64_t output, double e2e_s, double sigma = 0) {
    RequestRow row;
    row.span.id = SpanId{next++};
    row.span.kind = SpanKind::request;
    row.finish = "length";
    row.prompt_tokens = prompt;
    row.output_tokens = output;
    row.e2e_s = e2e_s;
    row.headline.charged = joules(charged, 0.1 * charged + 1.96 * sigma);
    row.prefill.charged = joules(0.25 * charged, 0.025 * charged);
    row.decode.charged = joules(0.75 * charged, 0.075 * charged);
    SpanJoules part;
    part.energy.share_sigma_j = sigma;
    row.energy.push_back(part);
    summary.charges.push_back({ChannelId{1}, Party::target, row.span.id, *row.headline.charged, "", "server"});
    summary.requests.push_back(row);
    return summary.requests.back();
  }
  [[nodiscard]] EnergyMetric metric(const std::string& name) const {
    const RequestEnergy energy = request_energy(summary);
    for (const auto* list : {&energy.metrics, &energy.lifecycle})
      for (const EnergyMetric& one : *list)
        if (one.name == name) return one;
    ADD_FAILURE() << "no metric is called " << name;
    return {};
  }
};

// Kills: a mean of ratios for a ratio of sums; prompt tokens in an output token's denominator.
TEST(RequestEnergy, SumsAreOverSumsAndEachRatioNamesItsDenominator) {
  Made made;
  made.request(10, 100, 10, 2);
  made.request(90, 300, 190, 4);
  const auto output = made.metric("charged_j_per_output_token");
  EXPECT_NEAR(output.value->value, 100.0 / 200, 1e-12);
  EXPECT_EQ(output.denominator, 200);
  EXPECT_EQ(output.requests, 2U);
  EXPECT_NEAR(output.value->low, 90.0 / 200, 1e-12);  // edges add up: 10 % of each
  EXPECT_NEAR(made.metric("charged_j_per_total_token").value->value, 100.0 / 600, 1e-12);
  EXPECT_NEAR(made.metric("charged_j_per_completed_request").value->value, 50, 1e-12);
  EXPECT_NEAR(made.metric("output_tokens_per_charged_j").value->value, 2, 1e-12);
  EXPECT_NEAR(made.metric("output_tokens_per_charged_j").value->high, 200.0 / 90, 1e-12);
  EXPECT_NEAR(made.metric("mean_charged_energy_delay_product_js_of_requests").value->value, (20 + 360) / 2.0, 1e-9);
  EXPECT_NEAR(made.metric("prefill_charged_j_per_uncached_prompt_token").value->value, 25.0 / 400, 1e-12);
  EXPECT_NEAR(made.metric("decode_charged_j_per_token_after_the_first").value->value, 75.0 / 198, 1e-12);
  EXPECT_NEAR(made.metric("run_gross_j_per_output_token").value->value, 900.0 / 200, 1e-12);
}

// Kills: what the costs leave open of each request added up as if all were off to the same side.
TEST(RequestEnergy, WhatSharingLeavesOpenAddsUpInSquaresAndEdgesAddUp) {
  Made made;
  for (int i = 0; i < 4; ++i) made.request(10, 10, 10, 1, 2);
  const auto one = made.metric("charged_j_per_completed_request");
  EXPECT_NEAR(one.value->high - one.value->value, (4 * 1 + 1.96 * 2 * 2) / 4, 1e-9);
}

// Bug: the spread of equal requests was told as the whole doubt, an interval far smaller than that of each; a
// percentile had none at all; and modelled joules became an interval.
TEST(RequestEnergy, AMeanAndAPercentileOverRequestsHaveTheDoubtOfTheirJoules) {
  Made made;
  for (int i = 0; i < 12; ++i) made.request(10, 10, 10, 1);
  made.summary.requests[3].headline.charged->kind = EstimateKind::range;
  const auto sum = made.metric("charged_j_per_completed_request");
  for (const char* name : {"mean_charged_j_of_requests", "mean_charged_energy_delay_product_js_of_requests",
                           "p50_charged_j_of_requests"}) {
    const auto told = made.metric(name);
    ASSERT_TRUE(told.value) << name;
    EXPECT_NEAR(told.value->low, 9, 1e-9) << name;
    EXPECT_NEAR(told.value->high, 11, 1e-9) << name;
    EXPECT_EQ(told.value->kind, EstimateKind::range) << name;
    EXPECT_NEAR(told.value->low, sum.value->low, 1e-9) << name;
  }
  made.summary.requests[0].headline.charged->value = 10.5;  // requests that differ are the more doubtful
  EXPECT_LT(made.metric("mean_charged_j_of_requests").value->low, 9);
  EXPECT_GT(made.metric("mean_charged_j_of_requests").value->high, 11);
}

// Kills: joules of requests that failed taken out of the sums, or counted as done.
TEST(RequestEnergy, WhatFailedWasPaidForAndIsWaste) {
  Made made;
  made.request(10, 100, 10, 1);
  made.request(6, 100, 4, 1).span.status = SpanStatus::failed;
  made.request(5, 100, 4, 1).finish = "stop";
  made.request(3, 100, 1, 1).span.status = SpanStatus::unfinished;
  RequestRow& dark = made.request(0, 100, 1, 1);
  dark.span.status = SpanStatus::failed;
  dark.headline.charged.reset();
  EXPECT_NEAR(made.metric("charged_j_per_output_token").value->value, 24.0 / 19, 1e-12);
  EXPECT_EQ(made.metric("charged_j_per_completed_request").requests, 1U);  // nor is one done that was called off
  const RequestEnergy energy = request_energy(made.summary);
  ASSERT_EQ(energy.waste.size(), 3U);
  EXPECT_EQ(energy.waste[0].why, "failed");
  EXPECT_EQ(energy.waste[0].requests, 2U);
  EXPECT_EQ(energy.waste[0].without_joules, 1U);
  EXPECT_NEAR(energy.waste[0].charged->value, 6, 1e-12);
  EXPECT_EQ(energy.waste[1].why, "cancelled");
  EXPECT_EQ(energy.waste[2].why, "never ended");
}

// Kills: 0 joules for what no sensor resolved.
TEST(RequestEnergy, WhatIsNotResolvableHasAReasonAndNoNumber) {
  Made made;
  RequestRow& row = made.request(10, 100, 10, 1);
  for (HeadlineJoules* one : {&row.headline, &row.prefill, &row.decode}) *one = {{}, {}, false, 0.4};
  const auto token = made.metric("charged_j_per_output_token");
  EXPECT_FALSE(token.value);
  EXPECT_NE(token.absent.find("not resolvable"), std::string::npos);
  const auto json = to_json(request_energy(made.summary));
  EXPECT_FALSE(json["metrics"][0].contains("value"));
  EXPECT_TRUE(json["metrics"][0].contains("absent"));
  const auto words = efficiency_words(made.summary, request_energy(made.summary));
  ASSERT_EQ(words.size(), 1U);
  EXPECT_NE(words[0].find("not resolvable"), std::string::npos);
}

// Loading took 60 J ± 6, keeping it loaded 4 W ± 2: unloading pays after 15 s, between 54 / 6 and 66 / 2.
TEST(RequestEnergy, UnloadingPaysAfterAsLongAsLoadingCostsAtThePowerOfKeepingIt) {
  Made made;
  made.request(10, 100, 10, 1);
  PhaseRow load;
  load.span.kind = SpanKind::phase;
  load.span.name = "load";
  load.headline.charged = joules(60, 6);
  made.summary.phases.push_back(load);
  EXPECT_NEAR(made.metric("keep_loaded_w").value->value, 4, 1e-12);
  const auto pays = made.metric("unload_pays_after_s");
  EXPECT_NEAR(pays.value->value, 15, 1e-12);
  EXPECT_NEAR(pays.value->low, 9, 1e-12);
  EXPECT_NEAR(pays.value->high, 33, 1e-12);
  made.summary.energy[0].ledger.loaded_idle_w = joules(11, 1);  // may be nothing more than idle
  EXPECT_FALSE(made.metric("unload_pays_after_s").value);
  made.summary.energy[0].ledger.loaded_idle_w.reset();
  EXPECT_NE(made.metric("keep_loaded_w").absent.find("--loaded-baseline"), std::string::npos);
}

// 80 tokens from the cache, at what the other 20 and 100 cost: 5 J of prefill over 120 tokens.
TEST(RequestEnergy, APromptCacheSavesWhatItsTokensWouldHaveCost) {
  Made made;
  made.request(10, 100, 10, 1).span.counts = {{"cached_tokens", 80}};
  made.request(10, 100, 10, 1);
  const auto saved = made.metric("prompt_cache_saved_j");
  EXPECT_NEAR(saved.value->value, 80 * 5.0 / 120, 1e-9);
  EXPECT_EQ(saved.value->kind, EstimateKind::range);
  EXPECT_EQ(saved.requests, 1U);
  RequestSharing sharing;
  sharing.fit = WorkFit{};
  sharing.fit->prefill_token_j = joules(0.02, 0.001);
  made.summary.energy[0].ledger.sharing = {sharing};
  EXPECT_NEAR(made.metric("prompt_cache_saved_j").value->value, 1.6, 1e-9);
}

// 30 tokens proposed, 20 taken: 10 refused beside 90 made, a tenth of decode's 7.5 J.
TEST(RequestEnergy, RefusedDraftTokensHaveTheirPartOfDecode) {
  Made made;
  made.request(10, 100, 90, 1).span.counts = {{"draft_tokens", 30}, {"draft_accepted_tokens", 20}};
  EXPECT_NEAR(made.metric("refused_draft_tokens_j").value->value, 0.75, 1e-9);
}

TEST(RequestEnergy, TheClosureAddsUpToWhatWasRecordedByTarget) {
  Made made;
  made.request(10, 100, 10, 1);
  made.request(20, 100, 10, 1);
  const auto charge = [&](Party party, double value, const char* target) {
    made.summary.charges.push_back({ChannelId{1}, party, SpanId{}, joules(value, 0), "", target});
  };
  charge(Party::target, 70, "server"), charge(Party::target, 100, "command"), charge(Party::foreign, 200, "");
  charge(Party::prony, 1, ""), charge(Party::idle, 500, ""), charge(Party::unattributed, 99, "");
  const auto closure = request_energy(made.summary).closure;
  ASSERT_TRUE(closure);
  ASSERT_EQ(closure->targets.size(), 2U);
  EXPECT_EQ(closure->targets[0].requests_j, 30);
  EXPECT_EQ(closure->targets[0].rest_j, 70);
  EXPECT_EQ(closure->targets[1].requests_j, 0);
  double sum = closure->foreign_j + closure->prony_j + closure->idle_j + closure->unattributed_j;
  for (const auto& of : closure->targets) sum += of.requests_j + of.phases_j + of.other_spans_j + of.rest_j;
  EXPECT_NEAR(sum, closure->recorded_j, 1e-9);
}

TEST(RequestEnergy, WhichRuleWasUsedAndWhyIsSaid) {
  Made made;
  RequestSharing sharing;
  sharing.target = "server";
  sharing.used = RequestShare::time;
  sharing.why = "prompt and output tokens came in the same mix throughout";
  made.summary.energy[0].ledger.sharing = {sharing};
  const auto words = sharing_words(made.summary);
  ASSERT_EQ(words.size(), 1U);
  EXPECT_NE(words[0].find("by time (prompt and output"), std::string::npos);
  const auto json = to_json(sharing);
  EXPECT_EQ(json["asked"], "work");
  EXPECT_EQ(json["used"], "time");
  EXPECT_FALSE(json.contains("fit"));
}

// Kills: costs told in part, so that a token looks cheap whose cache reads and steps are left out.
TEST(RequestSharingWords, SayAllThatWasFittedAndByWhatPromptsWerePlaced) {
  Made made;
  RequestSharing sharing;
  sharing.used = RequestShare::work;
  sharing.fit.emplace();
  sharing.fit->prefill_token_j = joules(0.5, 0.1);
  sharing.fit->decode_token_j = joules(2, 0.1);
  sharing.fit->kv_read_j = joules(3.0 / 1048576, 0);
  sharing.fit->kv_in_bytes = true;
  sharing.fit->shared_j = joules(7, 0.1);
  sharing.fit->shared_by_step = true;
  made.summary.energy[0].ledger.sharing = {sharing};
  const std::string words = sharing_words(made.summary).at(0);
  for (const char* part : {"a prompt token", "an output token", "3.000 J a MiB read of the cache",
                           "a step of the engine", "placed by the engine's steps"})
    EXPECT_NE(words.find(part), std::string::npos) << part << " in: " << words;
  EXPECT_EQ(to_json(sharing)["fit"]["prompts_placed_by"], "steps");
  sharing.fit->shared_by_step = false;
  made.summary.energy[0].ledger.sharing = {sharing};
  EXPECT_NE(sharing_words(made.summary).at(0).find("a second served"), std::string::npos);
  EXPECT_EQ(to_json(sharing)["fit"]["prompts_placed_by"], "first tokens");
}

}  // namespace
}  // namespace prony
