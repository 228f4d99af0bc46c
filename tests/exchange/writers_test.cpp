#include "exchange/writers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "exchange/definitions.hpp"

namespace prony::exchange {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr std::int64_t ms = 1'000'000;
constexpr std::int64_t epoch_ns = 1'700'000'000'000'000'000;

// 14 in, 25 out: sent at `begin`, first token after 100 ms, then 24 gaps of 10 ms; 2.4 J charged.
RequestRow one_request(std::uint64_t id, std::int64_t begin_ms) {
  RequestRow row;
  row.span.id = {id};
  row.span.kind = SpanKind::request;
  row.span.name = "p" + std::to_string(id);
  row.span.interval = {{begin_ms * ms}, {(begin_ms + 340) * ms}};
  row.finish = "length";
  row.prompt_tokens = 14;
  row.output_tokens = 25;
  row.ttft_s = 0.100;
  row.prefill_s = 0.100;
  row.e2e_s = 0.340;
  row.tpot_s = 0.010;
  row.gaps_s.assign(24, 0.010);
  row.headline.charged = Estimate{2.4, 2.3, 2.5, EstimateKind::bound};
  row.decode.charged = Estimate{1.2, 1.1, 1.3, EstimateKind::bound};
  return row;
}
Summary two_and_a_failure() {
  Summary summary;
  summary.path = "x.prony";
  summary.manifest.set("model.name", "tiny model", "engine");
  summary.manifest.set("engine.name", "ollama", "engine");
  summary.requests = {one_request(1, 0), one_request(2, 500), one_request(3, 1000)};
  summary.requests[2].span.status = SpanStatus::failed;
  summary.requests[2].span.attributes.emplace_back("error", "out of \"memory\"");
  summary.window = {{0}, {1500 * ms}};
  summary.headline_j = Estimate{15, 14, 16, EstimateKind::bound};
  return summary;
}
std::vector<Json> lines_of(const std::string& text) {
  std::vector<Json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line));
  return lines;
}
const DefinedFigure& figure(const std::vector<DefinedFigure>& all, std::string_view name) {
  for (const DefinedFigure& one : all)
    if (one.name == name) return one;
  throw std::runtime_error("no figure " + std::string(name));
}

TEST(Writers, AiperfHasALineForEachRequestInMillisecondsAndEpochNanoseconds) {
  const auto lines = lines_of(write_aiperf(two_and_a_failure(), epoch_ns).value());
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[1]["metadata"]["request_start_ns"], epoch_ns + 500 * ms);
  EXPECT_EQ(lines[1]["metadata"]["request_end_ns"], epoch_ns + 840 * ms);
  EXPECT_EQ(lines[1]["metadata"]["conversation_id"], "p2");
  EXPECT_NEAR(lines[1]["metrics"]["time_to_first_token"]["value"].get<double>(), 100, 1e-9);
  EXPECT_EQ(lines[1]["metrics"]["time_to_first_token"]["unit"], "ms");
  EXPECT_NEAR(lines[1]["metrics"]["inter_token_latency"]["value"].get<double>(), 10, 1e-9);
  EXPECT_EQ(lines[1]["metrics"]["inter_chunk_latency"]["value"].size(), 24U);
  EXPECT_EQ(lines[1]["metrics"]["prony_charged_energy"]["value"], 2.4);
  EXPECT_TRUE(lines[1]["error"].is_null());
}
TEST(Writers, AFailureIsNoSuccessInAnyFormat) {
  const auto failed = lines_of(write_aiperf(two_and_a_failure(), epoch_ns).value())[2];
  EXPECT_EQ(failed["error"]["message"], "out of \"memory\"");
  EXPECT_FALSE(failed["metrics"].contains("request_latency"));
  const auto vllm = Json::parse(write_vllm(two_and_a_failure(), epoch_ns).value());
  EXPECT_EQ(vllm["completed"], 2);
  EXPECT_EQ(vllm["failed"], 1);
  EXPECT_EQ(vllm["errors"][2], "out of \"memory\"");
  EXPECT_TRUE(vllm["ttfts"][2].is_null());
  EXPECT_EQ(vllm["total_output_tokens"], 50);
  EXPECT_EQ(Json::parse(write_llama_bench(two_and_a_failure(), {}).value())[0]["samples_ns"].size(), 2U);
}
TEST(Writers, WithoutAnAnchorThereIsNoTimeOfDay) {
  EXPECT_TRUE(lines_of(write_aiperf(two_and_a_failure(), {}).value())[0]["metadata"]["request_start_ns"].is_null());
  EXPECT_FALSE(Json::parse(write_vllm(two_and_a_failure(), {}).value()).contains("date"));
}
TEST(Writers, VllmsStatisticsAreInMillisecondsAndItsArraysInSeconds) {
  auto summary = two_and_a_failure();
  summary.requests[1].ttft_s = 0.120;
  const auto vllm = Json::parse(write_vllm(summary, epoch_ns).value());
  EXPECT_NEAR(vllm["mean_ttft_ms"].get<double>(), 110, 1e-9);
  EXPECT_NEAR(vllm["std_ttft_ms"].get<double>(), 10, 1e-9);  // kills ddof 1: 14.1
  EXPECT_NEAR(vllm["ttfts"][1].get<double>(), 0.120, 1e-12);
  EXPECT_NEAR(vllm["start_times"][1].get<double>(), 0.5, 1e-12);
  EXPECT_NEAR(vllm["duration"].get<double>(), 1.34, 1e-12);
  EXPECT_NEAR(vllm["output_throughput"].get<double>(), 50 / 1.34, 1e-9);
  EXPECT_EQ(vllm["model_id"], "tiny model");
}
// Kills n_gen = O: 25 tokens in the time of 24 are 4 % too many a second.
TEST(Writers, LlamaBenchsGenerationRowHasTheTokensThatItsTimeMade) {
  const auto rows = Json::parse(write_llama_bench(two_and_a_failure(), {}).value());
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0]["n_prompt"], 14);
  EXPECT_EQ(rows[0]["n_gen"], 0);
  EXPECT_NEAR(rows[0]["avg_ts"].get<double>(), 140, 1e-9);
  EXPECT_EQ(rows[1]["n_gen"], 24);
  EXPECT_NEAR(rows[1]["avg_ts"].get<double>(), 100, 1e-9);
  EXPECT_EQ(rows[1]["avg_ns"], 240 * ms);
  EXPECT_EQ(rows[1]["prony_charged_j"][0], 1.2);
}
TEST(Writers, BenchstatGetsALineForEachRequestAndStepWithJoules) {
  const auto text = write_benchstat(two_and_a_failure(), {}).value();
  EXPECT_THAT(text, HasSubstr("BenchmarkModel/name=tiny-model/step=generate 1 10000000.0 ns/token 100.000 token/sec "
                              "0.050000000 J/token\n"));
  EXPECT_THAT(text, HasSubstr("BenchmarkModel/name=tiny-model/step=ttft 1 100000000.0 ns/op\n"));
}
TEST(Writers, LlenergymeasuresDenominatorsAreItsOwnAndOursStandBesideThem) {
  const auto result = Json::parse(write_llenergymeasure(two_and_a_failure(), epoch_ns).value());
  EXPECT_EQ(result["schema_version"], "3.0");
  EXPECT_EQ(result["total_tokens"], 78);
  EXPECT_NEAR(result["avg_tokens_per_second"].get<double>(), 78 / 1.5, 1e-9);     // prompt and answer together
  EXPECT_NEAR(result["avg_energy_per_token_j"].get<double>(), 15.0 / 50, 1e-12);  // of answers alone
  EXPECT_NEAR(result["mj_per_tok_total"].get<double>(), 15e3 / 78, 1e-9);
  EXPECT_NEAR(result["prony_run_gross_j_per_output_token"].get<double>(), 0.3, 1e-12);
  EXPECT_TRUE(result["total_flops"].is_null());
}
TEST(Writers, ARunWithoutRequestsIsRefusedByEach) {
  for (const WriterRow& row : writer_rows()) EXPECT_FALSE(row.write(Summary{}, {}).has_value()) << row.name;
  EXPECT_EQ(find_writer("nothing"), nullptr);
}
TEST(Definitions, TheSameRequestsAreToldAsEachToolWould) {
  const auto all = defined_figures(two_and_a_failure(), "all").value();
  EXPECT_NEAR(*figure(all, "tpot@vllm").mean, 0.010, 1e-12);
  EXPECT_NEAR(*figure(all, "tpot@guidellm").mean, 0.340 / 25, 1e-12);  // TTFT inside
  EXPECT_NEAR(*figure(all, "itl@guidellm").mean, 0.010, 1e-12);
  EXPECT_NEAR(*figure(all, "inter_token_latency@llmperf").mean, 0.340 / 25, 1e-12);
  EXPECT_NEAR(*figure(all, "eval_rate@ollama").mean, 25 / 0.240, 1e-9);  // 104.17 where 100 were made
  EXPECT_EQ(figure(all, "itl@vllm").count, 48U);
  EXPECT_NEAR(*figure(all, "output_throughput@vllm").mean, 50 / 0.840, 1e-9);
  EXPECT_NEAR(*figure(all, "completed_samples_per_second@mlperf").mean, 1 / 0.840, 1e-9);
}
TEST(Definitions, DeviationsAndPercentilesAreEachToolsOwn) {
  auto summary = two_and_a_failure();
  summary.requests[1].ttft_s = 0.120;
  const auto all = defined_figures(summary, "all").value();
  EXPECT_NEAR(*figure(all, "ttft@vllm").sd, 0.010, 1e-12);
  EXPECT_NEAR(*figure(all, "ttft@llmperf").sd, 0.010 * std::sqrt(2), 1e-12);
  EXPECT_NEAR(*figure(all, "ttft@vllm").p50, 0.110, 1e-12);
  EXPECT_NEAR(*figure(all, "ttft@mlperf").p50, 0.120, 1e-12);  // sorted[⌊2 · 0.5⌋]
}
TEST(Definitions, LoadgensTimesBeginWhenScheduledAndVllmsWhenSent) {
  auto summary = two_and_a_failure();
  for (RequestRow& row : summary.requests)
    row.span.counts.emplace_back("scheduled_ns", row.span.interval.begin.ns - 50 * ms);
  const auto all = defined_figures(summary, "all").value();
  EXPECT_NEAR(*figure(all, "ttft@mlperf").mean, 0.150, 1e-12);
  EXPECT_NEAR(*figure(all, "ttft@vllm").mean, 0.100, 1e-12);
}
// Bug: an answer that came in one piece had no TPOT in Prony's own words, 0 ms in Prony's definition, and was in vLLM's
// definition but not in vLLM's file.
TEST(Definitions, AnAnswerInOnePieceHasNoTpotOfPronysAndNothingInOtherTools) {
  auto summary = two_and_a_failure();
  summary.requests[1].e2e_s = summary.requests[1].ttft_s;
  summary.requests[1].tpot_s.reset();
  summary.requests[1].gaps_s.clear();
  const auto all = defined_figures(summary, "all").value();
  EXPECT_EQ(figure(all, "tpot@prony").count, 1U);
  EXPECT_NEAR(*figure(all, "tpot@prony").mean, 0.010, 1e-12);
  EXPECT_EQ(figure(all, "tpot@vllm").count, 2U);
  EXPECT_NEAR(*figure(all, "tpot@vllm").mean, 0.005, 1e-12);
  const auto told = Json::parse(find_writer("vllm")->write(summary, {}).value());
  EXPECT_NEAR(told.at("mean_tpot_ms").get<double>(), *figure(all, "tpot@vllm").mean * 1e3, 1e-9);
}
TEST(Definitions, AToolThatNobodyKnowsIsNamedWithTheNearest) {
  EXPECT_THAT(defined_figures(Summary{}, "vlm").error().fix, HasSubstr("Did you mean 'vllm'?"));
  const auto none = defined_figures(Summary{}, "vllm").value();
  EXPECT_EQ(none[0].absent, "no request was answered");
  EXPECT_THAT(to_text(none, 120, false), HasSubstr("no request was answered"));
}

}  // namespace
}  // namespace prony::exchange
