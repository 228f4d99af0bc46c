// Files that lost entries or have them twice: nothing is passed over without a word, and nothing counts twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "exchange/readers.hpp"

namespace prony::exchange {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using DamagedFile = nlohmann::json;

std::size_t requests_in(const Imported& imported) {
  std::size_t count = 0;
  for (const Span& span : imported.spans) count += span.kind == SpanKind::request ? 1 : 0;
  return count;
}

DamagedFile vllm_of_three() {
  return {{"completed", 3},
          {"total_output_tokens", 6},
          {"input_lens", {5, 5, 5}},
          {"output_lens", {2, 2, 2}},
          {"ttfts", {0.1, 0.2, 0.3}},
          {"itls", {{0.01}, {0.01}, {0.01}}},
          {"start_times", {0.0, 1.0, 2.0}},
          {"errors", {"", "", ""}}};
}

TEST(DamagedFiles, AVllmFileWhoseArraysDifferInLengthLosesNoRequestInSilence) {
  EXPECT_THAT(read_vllm(vllm_of_three().dump(), {}).value().notes, IsEmpty());
  for (const char* name : {"ttfts", "output_lens"}) {
    DamagedFile file = vllm_of_three();
    file[name].erase(1);
    const auto short_of_one = read_vllm(file.dump(), {});
    ASSERT_FALSE(short_of_one) << name;
    EXPECT_EQ(short_of_one.error().where, name);
    EXPECT_THAT(short_of_one.error().what, HasSubstr("2 entries, and"));
    EXPECT_THAT(short_of_one.error().what, HasSubstr("has 3"));
  }
  DamagedFile file = vllm_of_three();
  file["itls"].erase(0);
  file["start_times"].push_back(3.0);
  EXPECT_FALSE(read_vllm(file.dump(), {})) << "a fourth request begun, of which nothing else is told";
  file = vllm_of_three();
  file["start_times"].erase(2);
  file["itls"].erase(0);
  const auto out = read_vllm(file.dump(), {}).value();
  EXPECT_EQ(requests_in(out), 3U);
  EXPECT_THAT(out.notes, Contains(HasSubstr("start_times has 2 entries, and ttfts has 3")));
  EXPECT_THAT(out.notes, Contains(HasSubstr("itls has 2 entries")));
  EXPECT_THAT(out.notes, Contains(HasSubstr("one after the other")));
  for (const Span& span : out.spans) EXPECT_NE(span.kind, SpanKind::token) << "gaps of whom nobody knows";
}

TEST(DamagedFiles, WhatAVllmFileCountedItselfIsHeldAgainstItsArrays) {
  DamagedFile file = vllm_of_three();
  for (const char* name : {"input_lens", "output_lens", "ttfts", "itls", "start_times", "errors"}) file[name].erase(2);
  auto out = read_vllm(file.dump(), {}).value();
  EXPECT_THAT(out.notes, Contains("completed is 3 in the file, and its arrays hold 2 answered requests"));
  EXPECT_THAT(out.notes,
              Contains("total_output_tokens is 6 in the file, and its arrays hold 4 tokens of answered requests"));
  file["completed"] = 2;
  file["total_output_tokens"] = 4;
  EXPECT_THAT(read_vllm(file.dump(), {}).value().notes, IsEmpty());
}

DamagedFile guide_request(const DamagedFile& id, double start) {
  return {{"request_id", id},
          {"output_tokens", 25},
          {"info", {{"timings", {{"request_start", start}, {"request_end", start + 1}}}}}};
}

TEST(DamagedFiles, AGuidellmRequestThatIsThereTwiceCountsOnceAlsoWithoutAnId) {
  const DamagedFile a = guide_request("a", 1.7e9), b = guide_request("b", 1.7e9), nameless = guide_request({}, 1.7e9);
  const auto read = [](const DamagedFile& done, const DamagedFile& failed) {
    const DamagedFile by_end = {{"successful", done}, {"errored", failed}};
    return read_guidellm(DamagedFile{{"benchmarks", {{{"requests", by_end}}}}}.dump(), {}).value();
  };
  const auto out = read({a, b, a, nameless, nameless}, DamagedFile::array({a}));
  EXPECT_EQ(requests_in(out), 3U);
  EXPECT_THAT(out.notes, Contains("3 requests that were there already: left out"));
  EXPECT_THAT(out.notes, Contains(HasSubstr("2 requests have no request_id")));
  const auto again = read({a, guide_request("a", 1.7e9 + 5)}, DamagedFile::array());
  EXPECT_EQ(requests_in(again), 2U);
  EXPECT_THAT(again.notes, Contains(HasSubstr("1 requests have the request_id of one that began at another time")));
}

TEST(DamagedFiles, AnAiperfLineThatIsThereTwiceCountsOnceAlsoWhereOneOfThemLostItsId) {
  DamagedFile line = {{"metadata",
                       {{"x_request_id", "a"},
                        {"conversation_id", "c"},
                        {"turn_index", 0},
                        {"request_start_ns", 1000},
                        {"request_end_ns", 2000}}},
                      {"metrics", {{"request_latency", {{"value", 1.0}, {"unit", "ms"}}}}}};
  DamagedFile nameless = line, later = line;
  nameless["metadata"]["x_request_id"] = nullptr;
  later["metadata"]["x_request_id"] = nullptr;
  later["metadata"]["request_start_ns"] = 1500;
  const std::string with = line.dump() + "\n", without = nameless.dump() + "\n", other = later.dump() + "\n";
  for (const std::string& text : {with + without + other, without + with + other, without + without + other}) {
    const auto out = read_aiperf(text, {}).value();
    EXPECT_EQ(requests_in(out), 2U) << text;
    EXPECT_THAT(out.notes, Contains("1 lines of a request that was there already: left out")) << text;
    EXPECT_THAT(out.notes, Contains(HasSubstr("lines without an x_request_id: known by"))) << text;
  }
}

DamagedFile aiperf_times(double first, const char* first_unit, double latency, const char* latency_unit) {
  return {{"metadata", {{"x_request_id", "a"}, {"conversation_id", "c"}, {"request_start_ns", 1000}}},
          {"metrics",
           {{"time_to_first_token", {{"value", first}, {"unit", first_unit}}},
            {"inter_chunk_latency", {{"value", {0.5}}, {"unit", first_unit}}},
            {"output_sequence_length", {{"value", 2}, {"unit", "tokens"}}},
            {"request_latency", {{"value", latency}, {"unit", latency_unit}}}}}};
}

TEST(DamagedFiles, AnAiperfTimeIsOfItsUnitAndOneThatCannotBeIsToldAndMakesNoFigure) {
  const auto spans = [](const Imported& imported, SpanKind kind) {
    std::vector<Span> found;
    for (const Span& span : imported.spans)
      if (span.kind == kind) found.push_back(span);
    return found;
  };
  const auto whole = read_aiperf(aiperf_times(0.25, "s", 750, "ms").dump() + "\n", {}).value();
  EXPECT_THAT(whole.notes, IsEmpty());
  ASSERT_EQ(spans(whole, SpanKind::token).size(), 2U);
  EXPECT_EQ(spans(whole, SpanKind::token)[1].interval.length().ns, 500'000'000);
  EXPECT_EQ(spans(whole, SpanKind::decode)[0].interval.end.ns, 750'000'000);
  const auto odd = read_aiperf(aiperf_times(0.25, "min", 750, "ms").dump() + "\n", {}).value();
  EXPECT_THAT(odd.notes, Contains("1 time_to_first_token in 'min', which is no unit of time: left out"));
  EXPECT_THAT(odd.notes, Contains("1 inter_chunk_latency in 'min', which is no unit of time: left out"));
  EXPECT_TRUE(spans(odd, SpanKind::prefill).empty());
  const auto torn = read_aiperf(aiperf_times(1.25, "s", 40, "ms").dump() + "\n", {}).value();
  EXPECT_THAT(torn.notes, Contains(HasSubstr("1 requests have a first token after their end")));
  EXPECT_TRUE(spans(torn, SpanKind::prefill).empty());
  EXPECT_EQ(spans(torn, SpanKind::request)[0].interval.end.ns, 40'000'000);
}

TEST(DamagedFiles, WhyAnAnswerEndedIsNotMadeUp) {
  const auto out = read_vllm(vllm_of_three().dump(), {}).value();
  for (const Span& span : out.spans) EXPECT_FALSE(span.attribute("finish")) << span.name;
  DamagedFile file = vllm_of_three();
  file["errors"][1] = "timeout";
  const auto failed = read_vllm(file.dump(), {}).value();
  std::size_t errors = 0;
  for (const Span& span : failed.spans) errors += span.attribute("finish") == "error" ? 1 : 0;
  EXPECT_EQ(errors, 1U);
}

DamagedFile thesis_of(double seconds) {
  return {{"results", {{"inference_metrics", {{"inference_performance", {{"total_inference_time_sec", seconds}}}}}}}};
}

TEST(DamagedFiles, ThesisEntriesThatAreAlikeCountOnceAndThoseThatShareAnIdCanEachBeChosen) {
  const char *one = "CONFIGURATION_RUN_#0001", *none = "CONFIGURATION_RUN_#null";
  const DamagedFile twice = {{{none, thesis_of(2)}}, {{none, thesis_of(2)}}};
  const auto alone = read_llm_thesis(twice.dump(), {});
  ASSERT_TRUE(alone) << alone.error().fix;
  EXPECT_THAT(alone->notes, Contains("1 entries that were there already: left out"));
  EXPECT_THAT(alone->notes, Contains("1 entries have no id: they are entry-N here"));
  const DamagedFile file = {
      {{one, thesis_of(2)}}, {{one, thesis_of(3)}}, {{none, thesis_of(4)}}, {{one, thesis_of(3)}}};
  EXPECT_THAT(read_llm_thesis(file.dump(), {}).error().fix, HasSubstr("0001, 0001-entry-2, entry-3"));
  const auto seconds = [&](const char* id) {
    const auto out = read_llm_thesis(file.dump(), {.select = id}).value();
    EXPECT_THAT(out.notes, Contains(HasSubstr("1 entries have the id of another run")));
    return out.spans.front().interval.length().seconds().value();
  };
  EXPECT_EQ(seconds("0001"), 2);
  EXPECT_EQ(seconds("0001-entry-2"), 3);
  EXPECT_EQ(seconds("entry-3"), 4);
}

double joules_in(const Imported& imported, std::string_view channel) {
  for (std::size_t c = 0; c < imported.channels.size(); ++c)
    if (imported.channels[c].name == channel)
      return static_cast<double>(imported.ticks.reading(c, 1).raw) * imported.channels[c].scale;
  return -1;
}

TEST(DamagedFiles, OfLlenergymeasureTheTotalIsTakenWhereADeviceHasNoneAndWhatCannotBeJoulesIsTold) {
  DamagedFile file = {{"total_inference_time_sec", 10.0}, {"total_energy_j", 500.0}, {"total_tokens", 1000}};
  file["energy_per_device_j"] = {250.0, nullptr};
  auto out = read_llenergymeasure(file.dump(), {}).value();
  EXPECT_NEAR(joules_in(out, "llenergymeasure.gpu.energy"), 500, 1e-6);
  EXPECT_EQ(out.channels.size(), 1U);
  EXPECT_THAT(out.notes, Contains(HasSubstr("1 of 2 entries without joules: the total is taken")));
  file["energy_per_device_j"] = {250.0, 200.0};
  out = read_llenergymeasure(file.dump(), {}).value();
  EXPECT_NEAR(joules_in(out, "llenergymeasure.gpu1.energy"), 200, 1e-6);
  EXPECT_THAT(out.notes, Contains(HasSubstr("adds up to 450 J, and total_energy_j is 500 J")));
  file.erase("energy_per_device_j");
  file["total_energy_j"] = -5.0;
  out = read_llenergymeasure(file.dump(), {}).value();
  EXPECT_TRUE(out.channels.empty());
  EXPECT_THAT(out.notes, Contains("total_energy_j is -5, which no joules can be: left out"));
  file["total_energy_j"] = 500.0;
  EXPECT_EQ(read_llenergymeasure(file.dump(), {}).value().channels[0].origin, Origin::measured);
  file["prony_headline_origin"] = "modelled";
  EXPECT_EQ(read_llenergymeasure(file.dump(), {}).value().channels[0].origin, Origin::modelled);
}

TEST(DamagedFiles, OfTheThesisTheTotalIsTakenWhereNoPartIsToldAndItIsNotMeasured) {
  DamagedFile run = thesis_of(2);
  DamagedFile& ranks = run["results"]["global_energy_metrics"]["local_process_results"];
  for (const char* part : {"gpu_energy", "cpu_energy", "ram_energy"}) ranks[part]["process_0"] = nullptr;
  ranks["total_energy_joules"]["process_0"] = 7.35;
  const auto read = [&] { return read_llm_thesis(DamagedFile{{{"CONFIGURATION_RUN_#1", run}}}.dump(), {}).value(); };
  auto out = read();
  ASSERT_EQ(out.channels.size(), 1U);
  EXPECT_NEAR(joules_in(out, "codecarbon.total.energy"), 7.35, 1e-6);
  EXPECT_EQ(out.channels[0].origin, Origin::modelled);
  EXPECT_THAT(out.notes, Contains(HasSubstr("of its 7.35 J only the total is told")));
  ranks["gpu_energy"]["process_0"] = 1e-6;  // kWh
  ranks["cpu_energy"]["process_0"] = -1e-6;
  out = read();
  EXPECT_NEAR(joules_in(out, "codecarbon.gpu.energy"), 3.6, 1e-6);
  EXPECT_THAT(out.notes, Contains("its parts add up to 3.6 J, and its total is 7.35 J: the parts are taken"));
  EXPECT_THAT(out.notes, Contains("cpu_energy is below 0 for 1 processes: left out"));
}

}  // namespace
}  // namespace prony::exchange
