#include "exchange/readers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "exchange/writers.hpp"

namespace prony::exchange {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr std::int64_t read_ms = 1'000'000;

std::string aiperf_line(const char* id, std::int64_t start_ms, double ttft_ms, double latency_ms,
                        const char* phase = "profiling") {
  return Json{{"metadata",
               {{"x_request_id", id},
                {"conversation_id", std::string("c-") + id},
                {"turn_index", 0},
                {"request_start_ns", 1'700'000'000'000'000'000 + start_ms * read_ms},
                {"benchmark_phase", phase},
                {"was_cancelled", false}}},
              {"metrics",
               {{"input_sequence_length", {{"value", 14}, {"unit", "tokens"}}},
                {"output_sequence_length", {{"value", 3}, {"unit", "tokens"}}},
                {"time_to_first_token", {{"value", ttft_ms}, {"unit", "ms"}}},
                {"inter_chunk_latency", {{"value", {20.0, 30.0}}, {"unit", "ms"}}},
                {"request_latency", {{"value", latency_ms}, {"unit", "ms"}}}}},
              {"error", nullptr}}
             .dump() +
         "\n";
}
std::vector<Span> of_kind(const Imported& imported, SpanKind kind) {
  std::vector<Span> found;
  for (const Span& span : imported.spans)
    if (span.kind == kind) found.push_back(span);
  return found;
}
// J per rank and N ranks that each meter the whole node; tokens of one rank.
Json thesis_run(int ranks, double node_j, double seconds, int tokens) {
  Json by_rank;
  for (int rank = 0; rank < ranks; ++rank) {
    const std::string process = "process_" + std::to_string(rank);
    by_rank["gpu_energy"][process] = node_j * 0.85 / 3.6e6;
    by_rank["cpu_energy"][process] = node_j * 0.14 / 3.6e6;
    by_rank["ram_energy"][process] = node_j * 0.01 / 3.6e6;
    by_rank["total_energy_joules"][process] = node_j;
  }
  return {{"setup", {{"experiment_id", "0042"}, {"model", "meta-llama/Llama-3.2-1B"}, {"cpu_model", "AMD EPYC 7742"}}},
          {"variables", {{"config_name", "num_processes_4"}, {"backend", "pytorch"}}},
          {"results",
           {{"inference_metrics",
             {{"raw_inference_metrics",
               {{"number_input_prompts", 128}, {"total_input_tokens", 16384}, {"total_generated_tokens", tokens}}},
              {"inference_performance", {{"total_inference_time_sec", seconds}}}}},
            {"global_energy_metrics", {{"local_process_results", by_rank}}}}}};
}
double joules_of(const Imported& imported, std::string_view channel) {
  for (std::size_t c = 0; c < imported.channels.size(); ++c)
    if (imported.channels[c].name == channel)
      return static_cast<double>(imported.ticks.reading(c, 1).raw) * imported.channels[c].scale;
  return NAN;
}

TEST(Readers, AiperfsRequestsBecomeSpansWithTheirTokens) {
  const auto out = read_aiperf(aiperf_line("b", 500, 100, 150) + aiperf_line("a", 0, 80, 130), {}).value();
  const auto requests = of_kind(out, SpanKind::request);
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].name, "c-a");  // by time, not by line
  EXPECT_EQ(requests[1].interval.begin.ns, 500 * read_ms);
  EXPECT_EQ(requests[1].interval.end.ns, 650 * read_ms);
  EXPECT_EQ(requests[1].count("prompt_tokens"), 14);
  EXPECT_EQ(of_kind(out, SpanKind::token).size(), 6U);
  EXPECT_EQ(of_kind(out, SpanKind::prefill)[1].interval.end.ns, 600 * read_ms);
  EXPECT_EQ(out.anchor.wall_ns, 1'700'000'000'000'000'000);
  EXPECT_EQ(of_kind(out, SpanKind::run)[0].interval.end.ns, 650 * read_ms);
}
TEST(Readers, DoubledLinesNullIdsWarmUpAndAHalfWrittenLastLineAreLeftOutAndSaid) {
  const std::string whole = aiperf_line("a", 0, 80, 130);
  auto nameless = Json::parse(aiperf_line("x", 100, 80, 130));
  nameless["metadata"]["x_request_id"] = nullptr;
  nameless["metadata"]["conversation_id"] = nullptr;
  const auto out =
      read_aiperf(whole + whole + aiperf_line("w", 50, 1, 2, "warmup") + nameless.dump() + "\n" + whole.substr(0, 60),
                  {})
          .value();
  EXPECT_EQ(of_kind(out, SpanKind::request).size(), 2U);
  EXPECT_THAT(out.notes, Contains(HasSubstr("1 lines of a request that was there already")));
  EXPECT_THAT(out.notes, Contains(HasSubstr("1 requests of the warm-up")));
  EXPECT_THAT(out.notes, Contains(HasSubstr("1 requests without a conversation")));
  EXPECT_THAT(out.notes, Contains(HasSubstr("the last line (5) was not written to its end")));
}
TEST(Readers, ABadLineInTheMiddleIsAnErrorWithItsNumber) {
  const auto bad = read_aiperf(aiperf_line("a", 0, 80, 130) + "{\"metadata\": {\n" + aiperf_line("b", 1, 80, 130), {});
  ASSERT_FALSE(bad.has_value());
  EXPECT_EQ(bad.error().where, "line 2");
}
TEST(Readers, AFailedRequestStaysFailed) {
  auto line = Json::parse(aiperf_line("a", 0, 80, 130));
  line["metrics"] = Json::object();
  line["error"] = {{"code", 500}, {"type", "ServerError"}, {"message", "out of memory"}};
  const auto out = read_aiperf(line.dump() + "\n", {}).value();
  EXPECT_EQ(of_kind(out, SpanKind::request)[0].status, SpanStatus::failed);
  EXPECT_EQ(of_kind(out, SpanKind::request)[0].attribute("error"), "out of memory");
}
TEST(Readers, WhatWeWriteForAiperfAndVllmReadsBackAsTheSameRequests) {
  Summary summary;
  for (int i = 0; i < 3; ++i) {
    RequestRow row;
    row.span.id = {static_cast<std::uint64_t>(i + 1)};
    row.span.name = "p" + std::to_string(i);
    row.span.interval = {{i * 400 * read_ms}, {(i * 400 + 340) * read_ms}};
    row.finish = "length";
    row.prompt_tokens = 14 + i;
    row.output_tokens = 25;
    row.ttft_s = 0.1;
    row.e2e_s = 0.34;
    row.tpot_s = 0.01;
    row.gaps_s.assign(24, 0.01);
    summary.requests.push_back(row);
  }
  for (const auto& out : {read_aiperf(write_aiperf(summary, 1'700'000'000'000'000'000).value(), {}).value(),
                          read_vllm(write_vllm(summary, {}).value(), {}).value()}) {
    const auto requests = of_kind(out, SpanKind::request);
    ASSERT_EQ(requests.size(), 3U);
    EXPECT_EQ(requests[2].interval.begin.ns, 800 * read_ms);
    EXPECT_EQ(requests[2].interval.end.ns, 1140 * read_ms);
    EXPECT_EQ(requests[2].count("prompt_tokens"), 16);
    EXPECT_EQ(of_kind(out, SpanKind::token).size(), 75U);
    EXPECT_TRUE(out.notes.empty());
  }
}
TEST(Readers, VllmWithoutStartTimesSaysThatRatesOfTheWholeSayNothing) {
  const Json file = {{"ttfts", {0.1, 0.2}},
                     {"itls", {{0.01, 0.01}, Json::array()}},
                     {"output_lens", {3, 1}},
                     {"errors", {"", "timeout"}}};
  const auto out = read_vllm(file.dump(), {}).value();
  EXPECT_THAT(out.notes, Contains(HasSubstr("when requests began is not known")));
  EXPECT_EQ(of_kind(out, SpanKind::request)[0].interval.end.ns, 120 * read_ms);  // TTFT and its gaps
  EXPECT_EQ(of_kind(out, SpanKind::request)[1].status, SpanStatus::failed);
  EXPECT_FALSE(read_vllm(R"({"mean_ttft_ms": 3})", {}).has_value());
}
// llm-thesis at four ranks: 71 kJ over 16 384 tokens is told as 4.33 J; it was 17.7 kJ over 65 536.
TEST(Readers, FourRanksThatEachMeterTheWholeNodeAreCountedOnceOverTheTokensOfAll) {
  const Json run = thesis_run(4, 4.33 * 16384 / 4, 19.5, 16384);
  const Json file = {{{"CONFIGURATION_RUN_#0042", run}}, {{"CONFIGURATION_RUN_#0042", run}}};
  const auto out = read_llm_thesis(file.dump(), {}).value();
  EXPECT_EQ(out.manifest.get("import.reported_j_per_output_token"), "4.33");
  EXPECT_NEAR(std::stod(*out.manifest.get("import.corrected_j_per_output_token")), 0.27, 0.001);
  EXPECT_EQ(of_kind(out, SpanKind::request)[0].count("output_tokens"), 65536);
  EXPECT_NEAR(joules_of(out, "codecarbon.gpu.energy"), 0.85 * 4.33 * 16384 / 4, 1e-3);
  EXPECT_EQ(out.channels[1].origin, Origin::modelled);  // 112.5 W whatever it does
  EXPECT_THAT(out.notes, Contains(HasSubstr("1 entries that were there already")));
  EXPECT_THAT(out.notes,
              Contains(HasSubstr("4.33 J per output token. The node counted once over the tokens of all: 0.270")));
}
TEST(Readers, AsWrittenNothingIsCorrectedAndTheMistakeIsStillSaid) {
  const Json file = {{{"CONFIGURATION_RUN_#0042", thesis_run(4, 1000, 19.5, 16384)}}};
  const auto out = read_llm_thesis(file.dump(), {.as_written = true}).value();
  EXPECT_EQ(of_kind(out, SpanKind::request)[0].count("output_tokens"), 16384);
  EXPECT_NEAR(joules_of(out, "codecarbon.gpu.energy"), 3400, 1e-3);
  EXPECT_THAT(out.notes, Contains(HasSubstr("(left as written)")));
}
TEST(Readers, OfSeveralRunsInAFileOneIsChosen) {
  const Json file = {{{"CONFIGURATION_RUN_#0001", thesis_run(1, 100, 1, 10)}},
                     {{"CONFIGURATION_RUN_#0002", thesis_run(1, 200, 1, 10)}}};
  EXPECT_THAT(read_llm_thesis(file.dump(), {}).error().fix, HasSubstr("0001, 0002"));
  EXPECT_NEAR(joules_of(read_llm_thesis(file.dump(), {.select = "0002"}).value(), "codecarbon.gpu.energy"), 170, 1e-3);
  EXPECT_FALSE(read_llm_thesis(file.dump(), {.select = "7"}).has_value());
}
// The thesis's table, in its own names in an order of their own and in those that its cleaner leaves.
std::string thesis_table(bool cleaned, const char* id, int ranks, double node_j) {
  const std::string raw = cleaned ? "" : "raw_inference_metrics_", local = cleaned ? "" : "local_process_results_";
  std::string head = local + "gpu_energy_process_0", row = std::to_string(node_j * 0.85 / 3.6e6);
  for (int rank = 1; rank < ranks; ++rank) {
    head += "," + local + "gpu_energy_process_" + std::to_string(rank);
    row += "," + std::to_string(node_j * 0.85 / 3.6e6);
  }
  for (int rank = 0; rank < ranks; ++rank) {
    head += "," + local + "total_energy_joules_process_" + std::to_string(rank);
    row += "," + std::to_string(node_j);
  }
  head += ",gpu_model,model,experiment_id," + raw + "total_generated_tokens," + raw +
          "total_input_tokens,config_name,inference_performance_total_inference_time_sec,ram_energy_process_0";
  row += std::string(",\"4 x A, B\",meta-llama/Llama-3.2-1B,") + id + ",16384,16384,num_processes_4,19.5,NA";
  return head + "\n" + row + "\n";
}
TEST(Readers, TheThesissTableInEitherOfItsNamesIsReadWithItsMistakeCorrected) {
  for (const bool cleaned : {false, true}) {
    const std::string table = thesis_table(cleaned, "0042", 4, 4.33 * 16384 / 4);
    const auto out = read_llm_thesis(table + table.substr(table.find('\n') + 1), {}).value();
    EXPECT_NEAR(std::stod(*out.manifest.get("import.corrected_j_per_output_token")), 0.27, 0.001);
    EXPECT_EQ(of_kind(out, SpanKind::request)[0].count("output_tokens"), 65536);
    EXPECT_NEAR(joules_of(out, "codecarbon.gpu.energy"), 0.85 * 4.33 * 16384 / 4, 4);  // six digits of kWh
    EXPECT_EQ(out.manifest.get("model.name"), "meta-llama/Llama-3.2-1B");
    EXPECT_EQ(out.manifest.get("machine.gpu_model"), "4 x A, B");
    EXPECT_THAT(out.notes, Contains(HasSubstr("1 lines that were there already")));
    ASSERT_EQ(out.channels.size(), 1U);  // "NA" is no joule, and a part that is in no column neither
  }
}
TEST(Readers, RowsOfTheThesissTableWithoutIdsCutOffOrWithSumsAloneAreToldAndChosenByLine) {
  const std::string one = thesis_table(true, "NA", 1, 100), two = thesis_table(true, "7", 1, 200);
  const std::string rows = one + two.substr(two.find('\n') + 1);
  EXPECT_THAT(read_llm_thesis(rows, {}).error().fix, HasSubstr("line-2, 7"));
  const auto cut = read_llm_thesis(rows + "1,2,3", {.select = "line-2"}).value();
  EXPECT_THAT(cut.notes, Contains(HasSubstr("the last line (4) was not written to its end")));
  EXPECT_THAT(cut.notes, Contains(HasSubstr("1 rows have no experiment_id")));
  EXPECT_EQ(read_llm_thesis(rows + "1,2,3\n", {}).error().where, "line 4");
  const std::string sums =
      "experiment_id,num_processes,total_energy_joules,gpu_energy_total,total_generated_tokens,"
      "total_inference_time_sec\n3,4,4000,0.001,1000,2\n";
  const auto out = read_llm_thesis(sums, {}).value();
  EXPECT_EQ(out.manifest.get("import.processes"), "4");
  EXPECT_NEAR(joules_of(out, "codecarbon.gpu.energy"), 900, 1e-3);  // 3600 J over four that each metered all of it
  EXPECT_THAT(out.notes, Contains(HasSubstr("sums over processes are taken as equal parts")));
}
std::string power_line(const char* date, double package, double psys) {
  return Json{{"date", date}, {"metrics", {{"cpu", {{"intel_power", package}, {"psys_power", psys}}}}}}.dump() + "\n";
}
TEST(Readers, AipowermetersMinusOneIsAbsentAndNotIntegrated) {
  const auto out =
      read_aipowermeter(
          power_line("2021-12-08 13:55:49.000000", 30, -1) + power_line("2021-12-08 13:55:51.000000", 30, -1), {})
          .value();
  ASSERT_EQ(out.channels.size(), 1U);
  EXPECT_EQ(out.channels[0].name, "aipowermeter.package.power");
  EXPECT_THAT(out.notes, Contains(HasSubstr("2 values below 0: absent")));
  EXPECT_EQ(out.spans[0].interval.end.ns, 2'000 * read_ms);
  EXPECT_EQ(out.anchor.wall_ns, 1'638'971'749'000'000'000);  // 2021-12-08T13:55:49Z
}
TEST(Readers, BetweenAipowermetersSegmentsThereIsAGap) {
  const auto out =
      read_aipowermeter(power_line("2021-12-08 13:00:00", 30, 40) + power_line("2021-12-08 13:00:02", 30, 40) +
                            "\"END OF RECORDING SEGMENT\"\n" + power_line("2021-12-08 13:00:38", 30, 40) +
                            power_line("2021-12-08 13:00:40", 30, 40),
                        {})
          .value();
  ASSERT_EQ(out.ticks.ticks(), 5U);
  EXPECT_EQ(out.ticks.reading(0, 2).quality, Quality::gap);
  EXPECT_EQ(out.ticks.reading(1, 3).raw, 30'000'000);
  EXPECT_EQ(out.channels[1].part_of, ChannelId{0});  // the package lies in what psys sees
  EXPECT_THAT(out.notes, Contains(HasSubstr("2 segments")));
}
TEST(Readers, GuidellmsRequestsKeepHowTheyEnded) {
  const auto request = [](const char* id, double start, double first, double last) {
    return Json{
        {"request_id", id},
        {"prompt_tokens", 14},
        {"output_tokens", 25},
        {"info",
         {{"timings", {{"request_start", start}, {"first_token_iteration", first}, {"last_token_iteration", last}}}}}};
  };
  Json never = request("never", 0, 0, 0);
  never["info"]["timings"]["request_start"] = nullptr;
  const Json benchmark = {
      {"requests",
       {{"successful",
         {request("b", 1.7e9 + 1, 1.7e9 + 1.125, 1.7e9 + 1.5), request("a", 1.7e9, 1.7e9 + 0.25, 1.7e9 + 0.5)}},
        {"incomplete", {request("c", 1.7e9 + 2, 1.7e9 + 2.25, 1.7e9 + 2.5), never}},
        {"errored", {request("d", 1.7e9 + 3, 1.7e9 + 3.25, 1.7e9 + 3.5)}}}}};
  const Json file = {{"benchmarks", {benchmark}}};
  const auto out = read_guidellm(file.dump(), {}).value();
  const auto requests = of_kind(out, SpanKind::request);
  ASSERT_EQ(requests.size(), 4U);
  EXPECT_EQ(requests[0].name, "a");
  EXPECT_EQ(requests[1].interval.begin.ns, 1000 * read_ms);
  EXPECT_EQ(requests[1].interval.end.ns, 1500 * read_ms);
  EXPECT_EQ(of_kind(out, SpanKind::prefill)[1].interval.end.ns, 1125 * read_ms);
  EXPECT_EQ(requests[2].attribute("finish"), "cancelled");
  EXPECT_EQ(requests[3].status, SpanStatus::failed);
  EXPECT_THAT(out.notes, Contains("1 requests that were never sent: left out"));
  const Json two = {{"benchmarks", {benchmark, benchmark}}};
  EXPECT_THAT(read_guidellm(two.dump(), {}).error().what, HasSubstr("2 benchmarks: which one?"));
  EXPECT_TRUE(read_guidellm(two.dump(), {.select = "2"}).has_value());
}
// The line is the one that its author publishes, shortened.
TEST(Readers, MonitorsystemsStampsAreMillisecondsAndItsWattsAGauge) {
  const std::string first =
      R"({"cpu_usage_":96.96,"engine_":"OTHER","fan_speed_":9852.0,"frequency_":[2.4],"internalpower_":4.82,"mem_used_":990000128,"temperature_":72.15,"timestamp_":1779643293763,"voltage_":0.8387})";
  std::string second = first;
  second.replace(second.find("293763"), 6, "294013");
  const auto out = read_monitorsystem(first + "\n" + second + "\n" + first + "\n" + second.substr(0, 30), {}).value();
  ASSERT_EQ(out.channels.size(), 5U);
  EXPECT_EQ(out.spans[0].interval.end.ns, 250 * read_ms);
  EXPECT_EQ(out.channels[0].measure, Measure::power);
  EXPECT_NEAR(static_cast<double>(out.ticks.reading(0, 1).raw) * out.channels[0].scale, 4.82, 1e-9);
  EXPECT_NEAR(static_cast<double>(out.ticks.reading(4, 0).raw) * out.channels[4].scale, 990000128, 1e-3);
  EXPECT_EQ(out.anchor.wall_ns, 1'779'643'293'763 * read_ms);
  EXPECT_THAT(out.notes, Contains(HasSubstr("1 samples not later")));
  EXPECT_THAT(out.notes, Contains(HasSubstr("not written to its end")));
}
TEST(Readers, NonsenseIsAnErrorInEveryFormat) {
  for (const ReaderRow& row : reader_rows())
    for (const char* text :
         {"", "nonsense", "[]", "{}", "null", "[[[", "{\"metadata\":{\"request_start_ns\":1e300}}\n", "[{\"a\":{}}]"})
      EXPECT_FALSE(row.read(text, {}).has_value()) << row.name << " " << text;
  EXPECT_THAT(find_reader("aiprf").error().fix, HasSubstr("Did you mean 'aiperf'?"));
}

}  // namespace
}  // namespace prony::exchange
