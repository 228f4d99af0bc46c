// FLOP/s, bytes/s, MFU and MBU over a Summary whose every figure a test sets.
#include "reports/utilisation.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace prony {
namespace {

// 100 FLOP a token and 40 for logits, 1000 bytes a step; attention 2 FLOP and 4 bytes for each token seen.
TokenCosts costs() { return {100, 40, 900, 0, 1, 100, 0, {{0, 2, 4, 4}}}; }

struct UseMade {
  Summary summary;
  std::int64_t at_ns = 0;

  UseMade() {
    summary.kind = "llm";
    summary.manifest.facts = facts_of(costs());
    summary.manifest.set("engine.batch", "512", "worker");
  }
  void peaks(const char* flop, const char* bytes, const char* source = "as given") {
    if (*flop != '\0') summary.manifest.set("peak.flop_per_s", flop, "flag");
    if (*bytes != '\0') summary.manifest.set("peak.bytes_per_s", bytes, "flag");
    summary.manifest.set("peak.source", source, "flag");
  }
  // Prefill takes half a second, each further token a quarter; one request after another.
  RequestRow& request(std::int64_t prompt, std::int64_t output) {
    RequestRow row;
    row.span.kind = SpanKind::request;
    row.finish = "length";
    row.prompt_tokens = prompt;
    row.output_tokens = output;
    row.prefill_s = 0.5;
    if (output > 1) row.decode_tokens_per_s = 4;
    row.e2e_s = 0.5 + 0.25 * static_cast<double>(output - 1);
    row.begin_s = static_cast<double>(at_ns) / 1e9;
    row.span.interval = {{at_ns}, {at_ns + static_cast<std::int64_t>(*row.e2e_s * 1e9)}};
    at_ns = row.span.interval.end.ns;
    summary.requests.push_back(row);
    return summary.requests.back();
  }
  [[nodiscard]] std::string why_not(const char* what) const {
    for (const Unavailable& one : utilisation(summary).absent)
      if (one.subject == what) return one.reason;
    return {};
  }
};

// Kills: logits or attention left out, the first token's work in decode, a mean of rates for a rate of sums.
TEST(Utilisation, IsWhatWasCountedByWhatWasTimedOverAllRequests) {
  UseMade made;
  made.peaks("10000", "20000");
  made.request(10, 5);
  made.request(4, 2);
  const Utilisation all = utilisation(made.summary);
  ASSERT_TRUE(all.prefill && all.decode);
  // Attention of a prompt of n: 2 · n(n + 1)/2.
  EXPECT_EQ(all.prefill->flop, 10 * 100 + 40 + 110 + 4 * 100 + 40 + 20);
  EXPECT_EQ(all.prefill->seconds, 1);
  // Steps see 11, 12, 13, 14 tokens; and 5.
  EXPECT_EQ(all.decode->flop, 4 * 140 + 2 * 50 + 140 + 2 * 5);
  EXPECT_EQ(all.decode->bytes, 5 * (1000 + 4) + 4 * 55);
  EXPECT_EQ(all.decode->seconds, 1.25);
  const auto json = to_json(all);
  EXPECT_DOUBLE_EQ(json["decode"]["mbu"].get<double>(), (5 * 1004 + 220) / 1.25 / 20000);
  EXPECT_DOUBLE_EQ(json["prefill"]["mfu"].get<double>(), 1610 / 10000.0);
  EXPECT_EQ(json["origin"], "derived");
}

TEST(Utilisation, CachedTokensAreNotComputedAndAreSeen) {
  UseMade made;
  made.request(10, 1).span.counts.emplace_back("cached_tokens", 6);
  const Utilisation all = utilisation(made.summary);
  EXPECT_EQ(all.prefill->flop, 4 * 100 + 40 + 2 * (7 + 8 + 9 + 10));
  EXPECT_FALSE(all.decode);
  EXPECT_NE(made.why_not("decode"), "");
}

// Kills: a failed request's tokens counted as if its time were all of theirs; a server's untold prefill guessed.
TEST(Utilisation, OnlyWhatWasAnsweredAndTimedCounts) {
  UseMade made;
  made.request(10, 5).span.status = SpanStatus::failed;
  made.request(10, 5).span.counts.emplace_back("cancelled", 1);
  made.request(10, 5).prefill_s.reset();
  const Utilisation all = utilisation(made.summary);
  EXPECT_FALSE(all.prefill);
  EXPECT_EQ(all.decode->requests, 1u);
  EXPECT_NE(made.why_not("prefill"), "");
}

// Kills: bytes of weights counted for each of the requests that one step served.
TEST(Utilisation, OfRequestsAtOnceThereAreFlopAndNoBytes) {
  UseMade made;
  made.request(10, 5);
  made.at_ns = 0;
  made.request(10, 9);
  const Utilisation all = utilisation(made.summary);
  EXPECT_FALSE(all.prefill || all.decode);
  ASSERT_TRUE(all.together);
  EXPECT_EQ(all.together->seconds, 2.5);
  EXPECT_EQ(all.together->requests, 2u);
  EXPECT_EQ(all.together->flop, 2 * (10 * 100 + 40 + 110) + 12 * 140 + 2 * (11 + 12 + 13 + 14) + 2 * (11 + 18) * 4);
  EXPECT_FALSE(all.together->bytes);
  EXPECT_NE(made.why_not("together.bytes_per_s").find("shared steps"), std::string::npos);
}

// Kills: a peak that is guessed, or that is another machine's.
TEST(Utilisation, WithoutAPeakThereIsNoShareAndItIsSaidHowThereWouldBe) {
  UseMade made;
  made.request(10, 5);
  auto json = to_json(utilisation(made.summary));
  EXPECT_FALSE(json["decode"].contains("mfu") || json["decode"].contains("mbu"));
  EXPECT_TRUE(json["decode"].contains("bytes_per_s"));
  EXPECT_NE(made.why_not("mbu"), "");
  const auto words = utilisation_words(made.summary);
  EXPECT_NE(words.back().find("--measure-machine"), std::string::npos);
  made.peaks("", "20000");
  json = to_json(utilisation(made.summary));
  EXPECT_FALSE(json["decode"].contains("mfu"));
  EXPECT_TRUE(json["decode"].contains("mbu"));
  made.peaks("10000", "20000", "measured 2026-09-21, 4 threads, f32 avx2");
  EXPECT_TRUE(to_json(utilisation(made.summary))["decode"].contains("mfu"));
  made.summary.manifest.set("engine.can_offload", "true", "worker");
  EXPECT_FALSE(to_json(utilisation(made.summary))["decode"].contains("mfu"));
  EXPECT_NE(made.why_not("mfu").find("accelerator"), std::string::npos);
}

TEST(Utilisation, WhereTheModelsCostIsNotKnownOrNotOneModelsThereIsNoneAndAReason) {
  UseMade made;
  made.request(10, 5).span.attributes.emplace_back("model", "a.gguf");
  EXPECT_NE(made.why_not("utilisation").find("several models"), std::string::npos);
  made.summary.requests.clear();
  made.request(10, 5).span.counts.emplace_back("draft_tokens", 3);
  EXPECT_NE(made.why_not("utilisation").find("second model"), std::string::npos);
  made.summary.requests.clear();
  made.request(10, 5);
  EXPECT_EQ(made.why_not("utilisation"), "");
  made.summary.manifest.set("model.cost.linear_flop", "many", "file");
  made.summary.manifest.set("model.cost.absent", "what 'x' computes is not known here", "prony");
  EXPECT_EQ(made.why_not("utilisation"), "what 'x' computes is not known here");
  EXPECT_TRUE(utilisation_words(made.summary).empty());
  EXPECT_FALSE(to_json(utilisation(made.summary)).contains("decode"));
}

// Kills: bytes of a prompt's steps where nobody says how many tokens a step has.
TEST(Utilisation, BytesOfAPromptTakeTheEnginesStep) {
  UseMade made;
  made.request(600, 1);
  EXPECT_EQ(utilisation(made.summary).prefill->bytes, 2 * 900 + 100 + 600 * 4 + 4 * (512 + 600));
  made.summary.manifest.set("engine.batch", "", "worker");
  EXPECT_FALSE(utilisation(made.summary).prefill->bytes);
  EXPECT_NE(made.why_not("prefill.bytes_per_s"), "");
}

TEST(Utilisation, TheTextHasRatesSharesAndWhereThePeaksComeFrom) {
  UseMade made;
  made.peaks("1e4", "2e4", "measured 2026-09-21, 4 threads, f32 avx2");
  made.request(10, 5);
  const auto words = utilisation_words(made.summary);
  ASSERT_EQ(words.size(), 3u);
  EXPECT_NE(words[0].find("prefill 2.30 kFLOP/s (MFU 23 %)"), std::string::npos) << words[0];
  EXPECT_NE(words[1].find("MBU 21 %"), std::string::npos) << words[1];
  EXPECT_NE(words[2].find("of 10.0 kFLOP/s and 20.0 kB/s, measured 2026-09-21, 4 threads"), std::string::npos)
      << words[2];
}

}  // namespace
}  // namespace prony
