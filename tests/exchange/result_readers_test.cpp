// Results of whole tests and experiments: llama-bench, LLenergyMeasure's three generations, MonitorSystem's CSV files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "exchange/readers.hpp"
#include "exchange/writers.hpp"

namespace prony::exchange {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Document = nlohmann::json;

std::vector<Span> requests_of(const Imported& imported) {
  std::vector<Span> found;
  for (const Span& span : imported.spans)
    if (span.kind == SpanKind::request) found.push_back(span);
  return found;
}

double counted_joules(const Imported& imported, std::string_view channel) {
  for (std::size_t c = 0; c < imported.channels.size(); ++c)
    if (imported.channels[c].name == channel)
      return static_cast<double>(imported.ticks.reading(c, 1).raw) * imported.channels[c].scale;
  return -1;
}

double value_of(const Imported& imported, std::string_view channel, std::size_t tick) {
  for (std::size_t c = 0; c < imported.channels.size(); ++c)
    if (imported.channels[c].name == channel)
      return static_cast<double>(imported.ticks.reading(c, tick).raw) * imported.channels[c].scale;
  return -1;
}

Document bench_row(int prompt, int generated, std::vector<std::int64_t> samples, const char* model = "m.gguf") {
  return {{"build_commit", "abc"},
          {"cpu_info", "A CPU"},
          {"model_filename", model},
          {"model_type", "llama 1B Q8_0"},
          {"n_prompt", prompt},
          {"n_gen", generated},
          {"n_depth", 0},
          {"n_threads", 4},
          {"a_new_field", true},
          {"avg_ns", 1000},
          {"samples_ns", samples}};
}

TEST(LlamaBench, EachRepetitionIsARequestAndAGenerationTestHasNoFirstToken) {
  const Document file = {bench_row(512, 0, {1'000'000'000, 2'000'000'000}), bench_row(0, 128, {4'000'000'000})};
  const auto out = read_llama_bench(file.dump(2), {}).value();
  const auto requests = requests_of(out);
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(requests[1].name, "pp512#2");
  EXPECT_EQ(requests[1].interval.begin.ns, 1'000'000'000);
  EXPECT_EQ(requests[1].interval.end.ns, 3'000'000'000);
  EXPECT_EQ(requests[1].count("prompt_tokens"), 512);
  EXPECT_EQ(requests[2].count("output_tokens"), 128);
  std::size_t prefills = 0;
  for (const Span& span : out.spans) {
    prefills += span.kind == SpanKind::prefill ? 1 : 0;
    if (span.parent == requests[2].id) {  // no first token was seen, and no prompt
      EXPECT_EQ(span.kind, SpanKind::decode);
      EXPECT_EQ(span.interval.length().ns, 4'000'000'000);
    }
  }
  EXPECT_EQ(prefills, 2U);
  EXPECT_EQ(out.manifest.get("machine.cpu_model"), "A CPU");
  EXPECT_EQ(out.manifest.get("engine.threads"), "4");
  EXPECT_THAT(out.notes, Contains(HasSubstr("rates of the whole mix them")));
  const auto one = read_llama_bench(file.dump(), {.select = "tg128"}).value();
  EXPECT_EQ(requests_of(one).size(), 1U);
  EXPECT_THAT(one.notes, Not(Contains(HasSubstr("mix them"))));
  EXPECT_THAT(read_llama_bench(file.dump(), {.select = "tg64"}).error().fix, HasSubstr("1 (pp512), 2 (tg128)"));
}

TEST(LlamaBench, DoubledRowsNullNamesAndAListThatWasCutOffAreSaidAndLinesAreReadToo) {
  Document nameless = bench_row(0, 64, {1'000'000});
  nameless["model_filename"] = nullptr;
  nameless["cpu_info"] = nullptr;
  const Document file = {nameless, nameless, bench_row(0, 0, {5}), "rubbish", {{"n_prompt", 5}, {"avg_ns", -1}}};
  const auto out = read_llama_bench(file.dump(), {}).value();
  EXPECT_EQ(requests_of(out).size(), 1U);
  EXPECT_THAT(out.notes, Contains("1 rows that were there already: left out"));
  EXPECT_THAT(out.notes, Contains("3 rows without a test or without a time: left out"));
  std::string cut = Document{bench_row(16, 0, {1000}), bench_row(32, 0, {1000})}.dump(2);
  cut.resize(cut.size() - 60);
  const auto rescued = read_llama_bench(cut, {}).value();
  EXPECT_EQ(requests_of(rescued).size(), 1U);
  EXPECT_THAT(rescued.notes, Contains("the list was not written to its end: 1 whole rows are taken"));
  const std::string lines = bench_row(16, 0, {1000}).dump() + "\n" + bench_row(32, 0, {1000}).dump() + "\n{\"n_pro";
  EXPECT_EQ(requests_of(read_llama_bench(lines, {}).value()).size(), 2U);
  Document mean = bench_row(16, 0, {});
  EXPECT_THAT(read_llama_bench(mean.dump() + "\n", {}).value().notes, Contains(HasSubstr("only the mean is told")));
  const Document models = {bench_row(16, 0, {1000}, "a"), bench_row(16, 0, {1000}, "b")};
  EXPECT_THAT(read_llama_bench(models.dump(), {}).error().what, HasSubstr("several models"));
  EXPECT_TRUE(read_llama_bench(models.dump(), {.select = "2"}));
}

Document result(double joules, double adjusted, double baseline_w) {
  return {{"schema_version", "3.0"},
          {"experiment_id", "m_20260428"},
          {"engine", "transformers"},
          {"model_name", "m"},
          {"total_tokens", 300},
          {"total_energy_j", joules},
          {"energy_per_device_j", {joules * 0.75, joules * 0.25}},
          {"avg_energy_per_token_j", joules / 100},
          {"baseline_power_w", baseline_w},
          {"energy_adjusted_j", adjusted},
          {"total_inference_time_sec", 4.0},
          {"measurement_warnings", {"short window"}},
          {"process_results", Document::array()}};
}

TEST(Llenergymeasure, AResultHasItsDevicesAndTheOutputTokensThatItsJoulesPerTokenAreMadeWith) {
  const auto out = read_llenergymeasure(result(228, 69, 39.75).dump(), {}).value();
  EXPECT_NEAR(counted_joules(out, "llenergymeasure.gpu0.energy"), 171, 1e-6);
  EXPECT_NEAR(counted_joules(out, "llenergymeasure.gpu1.energy"), 57, 1e-6);
  const auto requests = requests_of(out);
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].count("output_tokens"), 100);
  EXPECT_EQ(requests[0].count("prompt_tokens"), 200);
  EXPECT_EQ(requests[0].interval.end.ns, 4'000'000'000);
  EXPECT_THAT(out.notes, Contains(HasSubstr("short window")));
  EXPECT_THAT(out.notes, Contains(HasSubstr("more than half of its joules")));
  Document fallback = result(228, 69, 39.75);
  fallback["avg_energy_per_token_j"] = 228.0 / 300;  // over all tokens: the split is not known
  const auto unsplit = read_llenergymeasure(fallback.dump(), {}).value();
  EXPECT_EQ(requests_of(unsplit)[0].count("output_tokens"), std::nullopt);
  EXPECT_THAT(unsplit.notes, Contains(HasSubstr("nothing tells them apart")));
}

TEST(Llenergymeasure, AnIdleShareThatWasClippedAtZeroIsToldAsItIs) {
  const auto out = read_llenergymeasure(result(100, 0, 50).dump(), {}).value();
  EXPECT_EQ(out.manifest.get("import.net_of_idle_j"), "-100");
  EXPECT_THAT(out.notes, Contains(HasSubstr("it is -100 J (corrected here)")));
  const auto written = read_llenergymeasure(result(100, 0, 50).dump(), {.as_written = true}).value();
  EXPECT_EQ(written.manifest.get("import.net_of_idle_j"), "0");
  EXPECT_THAT(written.notes, Contains(HasSubstr("(left as written)")));
}

Document process(int index, Document gpu, double gpu_j) {
  return {{"experiment_id", "e"},
          {"backend", "pytorch"},
          {"process_index", index},
          {"gpu_id", std::move(gpu)},
          {"model_name", "m"},
          {"inference_metrics", {{"input_tokens", 20}, {"output_tokens", 10}, {"inference_time_sec", 2.0 + index}}},
          {"energy_metrics", {{"total_energy_j", gpu_j + 5}, {"gpu_energy_j", gpu_j}, {"cpu_energy_j", 5.0}}}};
}

TEST(Llenergymeasure, ProcessesThatMeteredOneGpuCountItOnceAndTokensAreOfAll) {
  Document file = {{"experiment_id", "e"}, {"model_name", "m"}, {"total_inference_time_sec", 5.0}};
  file["process_results"] = {process(0, 0, 100), process(1, 0, 104), process(2, 1, 50), process(2, 1, 50)};
  const auto out = read_llenergymeasure(file.dump(), {}).value();
  EXPECT_NEAR(counted_joules(out, "llenergymeasure.gpu.energy"), 152, 1e-6);
  EXPECT_EQ(requests_of(out)[0].count("output_tokens"), 30);
  EXPECT_EQ(requests_of(out)[0].interval.end.ns, 4'000'000'000);  // the longest
  EXPECT_THAT(out.notes, Contains("1 processes that were there already: left out"));
  EXPECT_THAT(out.notes, Contains(HasSubstr("each GPU counts once here")));
  const auto written = read_llenergymeasure(file.dump(), {.as_written = true}).value();
  EXPECT_NEAR(counted_joules(written, "llenergymeasure.gpu.energy"), 254, 1e-6);
}

TEST(Llenergymeasure, AProcessAloneIsReadWithNullIdsAndWhatWasNeverFilledIsNotTaken) {
  Document one = process(0, nullptr, 100);
  one["experiment_id"] = nullptr;
  one["energy_metrics"]["energy_per_token_j"] = 0.0;
  const auto out = read_llenergymeasure(one.dump(), {}).value();
  EXPECT_NEAR(counted_joules(out, "llenergymeasure.gpu.energy"), 100, 1e-6);
  EXPECT_EQ(out.channels[1].origin, Origin::modelled);
  EXPECT_THAT(out.notes, Contains(HasSubstr("were never filled")));
  EXPECT_FALSE(read_llenergymeasure(one.dump().substr(0, 200), {}));
}

std::vector<RawFile> raw_run(int ranks, bool with_global) {
  const Document energy = {{"gpu_energy", 1e-3}, {"cpu_energy", 2e-4}, {"total_energy_joules", 4320.0}};
  std::vector<RawFile> files{
      {"0042_1_experiment_setup.json", Document{{"model", "m"}, {"experiment_id", nullptr}}.dump()},
      {"0042_2_experiment_variables.json", Document{{"accelerate_config", {{"num_processes", ranks}}}}.dump()},
      {"0042_4_inference_metrics.json",
       Document{{"raw_inference_metrics", {{"total_input_tokens", 100}, {"total_generated_tokens", 50}}},
                {"inference_performance", {{"total_inference_time_sec", 3.0}}}}
           .dump()},
      {"notes.txt", "nothing of it"}};
  Document local;
  for (int rank = 0; rank < ranks; ++rank) {
    files.push_back({"0042_6_local_energy_results_process_" + std::to_string(rank) + ".json",
                     Document{{"local_process_index", rank}, {"energy_results", energy}}.dump()});
    for (const auto& [metric, value] : energy.items()) local[metric]["process_" + std::to_string(rank)] = value;
  }
  if (with_global)
    files.push_back({"0042_7_global_energy_results.json", Document{{"local_process_results", local}}.dump()});
  return files;
}

TEST(ThesisFolder, ARunsFilesAreReadAsItsAggregateAlsoWhereTheLastOfThemIsMissing) {
  for (const bool with_global : {true, false}) {
    std::vector<std::string> notes;
    const auto text = thesis_of_raw_files(raw_run(4, with_global), notes);
    ASSERT_TRUE(text);
    EXPECT_EQ(notes.empty(), with_global);
    const auto out = read_llm_thesis(*text, {}).value();
    EXPECT_NEAR(counted_joules(out, "codecarbon.gpu.energy"), 3600, 1e-3);  // of one node, not of four
    EXPECT_EQ(requests_of(out)[0].count("output_tokens"), 200);
    EXPECT_EQ(out.manifest.get("import.processes"), "4");
  }
}

TEST(ThesisFolder, FilesThatAreCutOffDoubledMissingOrOfAnotherRunAreToldByName) {
  std::vector<std::string> notes;
  auto files = raw_run(2, false);
  files.push_back({"0042_6_again.json", files.back().bytes});
  files[0].bytes.resize(10);
  files.push_back({"0042_6_local_energy_results_process_9.json", "{\"energy_res"});
  ASSERT_TRUE(thesis_of_raw_files(files, notes));
  EXPECT_THAT(notes, Contains(HasSubstr("0042_6_again.json is of a process that was there already")));
  EXPECT_THAT(notes, Contains(HasSubstr("0042_1_experiment_setup.json is not JSON")));
  EXPECT_THAT(notes, Contains(HasSubstr("process_9.json is not JSON")));
  files[2].bytes.resize(20);
  EXPECT_EQ(thesis_of_raw_files(files, notes).error().where, "0042_4_inference_metrics.json");
  files.push_back({"0043_1_experiment_setup.json", "{}"});
  files[2].bytes = "{}";
  EXPECT_THAT(thesis_of_raw_files(files, notes).error().what, HasSubstr("2 runs"));
  EXPECT_FALSE(thesis_of_raw_files({}, notes));
}

Summary summary_of_two() {
  Summary summary;
  summary.window = {{0}, {2'000'000'000}};
  for (int i = 0; i < 2; ++i) {
    RequestRow row;
    row.span.id = {static_cast<std::uint64_t>(i + 1)};
    row.span.name = "p" + std::to_string(i);
    row.span.interval = {{i * 1'000'000'000}, {(i + 1) * 1'000'000'000}};
    row.finish = "length";
    row.prompt_tokens = 10;
    row.output_tokens = 25;
    row.e2e_s = 1;
    summary.requests.push_back(row);
  }
  return summary;
}

TEST(ThesisFiles, WhatIsWrittenHasItsKeysAndReadsBackAndWhatIsNotKnownIsNaAndNeverZero) {
  const Summary summary = summary_of_two();
  const auto aggregate = write_thesis(summary, 1'745'449'197'000'000'000).value();
  const auto run = Document::parse(aggregate)[0]["CONFIGURATION_RUN_#0001"];
  EXPECT_EQ(run["setup"]["date_time"], "April 23, 2025 at 10:59:57 PM");
  EXPECT_EQ(run["results"]["inference_metrics"]["raw_inference_metrics"]["total_generated_tokens"], 50);
  EXPECT_TRUE(run["results"]["global_energy_metrics"]["global_experiment_results"]["total_energy_joules"].is_null());
  const auto back = read_llm_thesis(aggregate, {}).value();
  EXPECT_EQ(requests_of(back)[0].count("output_tokens"), 50);
  EXPECT_EQ(requests_of(back)[0].interval.end.ns, 2'000'000'000);
  std::vector<std::string> notes;
  const auto files = thesis_raw_files(summary, {}, "0007").value();
  const auto again = thesis_of_raw_files(files, notes);
  ASSERT_TRUE(again);
  EXPECT_EQ(requests_of(read_llm_thesis(*again, {}).value())[0].count("prompt_tokens"), 20);
  const auto table = write_thesis_csv(summary, {}).value();
  EXPECT_THAT(table, ::testing::StartsWith("experiment_id,cycle_id,date_time,model,"));
  EXPECT_THAT(table, HasSubstr("raw_inference_metrics_total_generated_tokens"));
  EXPECT_THAT(table, HasSubstr("\n0001,NA,NA,"));
  EXPECT_THAT(table, HasSubstr("global_experiment_results_total_energy_kwh"));
  EXPECT_FALSE(write_thesis(Summary{}, {}));
}

TEST(MonitorsystemCsv, SamplesHaveTheirStampsAndTheClockThatWasReadToTheBase16IsCorrected) {
  const std::string head =
      "timestamp,prompt_id,temperature,frequency,voltage,throttling,mem_total,mem_used,mem_percent,mem_pid,"
      "cpu_usage_pid,swap_total,swap_used,swap_percent,cpu_usage,fan_speed\n";
  const std::string first = "1745702081.5,-1,57.1,154618968072,0.84,0,8000,990000128,12,1,0.0,0,0,0,99,-1\n";
  const std::string later = "1745702082.0,-1,58.2,154618968072,0.84,0,8000,990000128,12,1,0.0,0,0,0,99,-1\n";
  const auto out = read_monitorsystem_csv(head + first + first + later + later.substr(0, 30), {}).value();
  EXPECT_EQ(out.ticks.ticks(), 2U);
  EXPECT_EQ(out.spans[0].interval.end.ns, 500'000'000);
  EXPECT_NEAR(value_of(out, "monitorsystem.core.frequency", 0), 2'400'023'808, 0.5);
  EXPECT_NEAR(value_of(out, "monitorsystem.soc.temperature", 1), 58.2, 1e-9);
  EXPECT_EQ(value_of(out, "monitorsystem.fan.speed", 0), -1) << "-1 is no fan: there is no such channel";
  EXPECT_THAT(out.notes, Contains(HasSubstr("read to the base 16")));
  EXPECT_THAT(out.notes, Contains(HasSubstr("1 lines that were there already")));
  EXPECT_THAT(out.notes, Contains(HasSubstr("the last line (5) was not written to its end")));
  EXPECT_THAT(out.notes, Contains(HasSubstr("2 samples with prompt_id -1")));
  const auto written = read_monitorsystem_csv(head + first + later, {.as_written = true}).value();
  EXPECT_NEAR(value_of(written, "monitorsystem.core.frequency", 0), 154'618'968'072, 0.5);
  EXPECT_EQ(read_monitorsystem_csv(head + "1,2,3\n" + later, {}).error().where, "line 2");
}

// The line is the one that its author publishes.
TEST(MonitorsystemCsv, TheFirstVersionsCellsOfTextAreRead) {
  const std::string text =
      "Timestamp,Metric_M,Metric_V\n"
      "2025-04-21 19:14:41,Idle: 69.74,\"Temperature: 57.1, Frequency: 154618968072, Voltage: 0.8404, Throttling: 0, "
      "Memory: 1020\"\n"
      "2025-04-21 19:14:42,Idle: 69.70,\"Temperature: 57.6, Frequency: 154618968072, Voltage: 0.8404, Throttling: 0, "
      "Memory: 1020\"\n";
  const auto out = read_monitorsystem_csv(text, {}).value();
  EXPECT_NEAR(value_of(out, "monitorsystem.soc.temperature", 0), 57.1, 1e-9);
  EXPECT_NEAR(value_of(out, "monitorsystem.core.frequency", 1), 2'400'023'808, 0.5);
  EXPECT_EQ(out.spans[0].interval.end.ns, 1'000'000'000);
  EXPECT_THAT(out.notes, Contains(HasSubstr("neither is taken")));
}

TEST(MonitorsystemCsv, PromptsAreRequestsAndWhatIsWrongInThemIsSaid) {
  const std::string text =
      "prompt_id,start_timestamp,finish_timestamp,model,total_duration,prompt_eval_count,prompt_eval_duration,"
      "eval_count,eval_duration,load_duration\n"
      "0,1745702081000000000,1745702085000000000,gemma3:1b,3990000000,20,500000000,40,3000000000,400000000\n"
      "1,1745702095000000000,1745702097000000000,gemma3:1b,-1990000000,21,500000000,-1,1000000000,900000000\n"
      ",1745702099000000000,1745702098000000000,gemma3:1b,1,1,1,1,1,1\n";
  const auto out = read_monitorsystem_csv(text, {}).value();
  const auto requests = requests_of(out);
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].count("output_tokens"), 40);
  EXPECT_EQ(requests[1].count("output_tokens"), std::nullopt) << "-1 is not told";
  EXPECT_EQ(requests[1].interval.begin.ns, 14'000'000'000);
  EXPECT_EQ(out.manifest.get("model.name"), "gemma3:1b");
  EXPECT_THAT(out.notes, Contains(HasSubstr("1 prompts without a begin and an end")));
  EXPECT_THAT(out.notes, Contains(HasSubstr("1 prompts with a negative total_duration")));
  EXPECT_THAT(out.notes, Contains(HasSubstr("1 prompts for which the model was loaded anew")));
}

}  // namespace
}  // namespace prony::exchange
