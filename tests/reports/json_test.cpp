// The summary as JSON, and through the real Attribution: names, what is absent, and that ledgers add up.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "fake_run.hpp"
#include "reports/summary_json.hpp"
#include "reports/summary_text.hpp"
#include "reports/tables.hpp"

namespace prony {
namespace {

using nlohmann::ordered_json;
using prony::testing::told_command;
using prony::testing::told_llm;

void expect_finite(const ordered_json& json, const std::string& where) {
  EXPECT_FALSE(json.is_null()) << where;
  EXPECT_TRUE(!json.is_number_float() || std::isfinite(json.get<double>())) << where;
  if (json.is_structured())
    for (const auto& [key, value] : json.items()) expect_finite(value, where + "/" + key);
}

bool names_unavailable(const ordered_json& json, const std::string& name) {
  for (const auto& one : json["unavailable"])
    if (one["name"] == name) return !one["reason"].get<std::string>().empty();
  return false;
}

TEST(Json, HasTheNamesThatScriptsReadInARunOfACommand) {
  const auto told = told_command();
  const ordered_json json = to_json(summarise(told.run, told.ledger));
  EXPECT_EQ(json["schema"], "prony.summary/1");
  EXPECT_EQ(json["wall_s"], 12.4);
  EXPECT_EQ(json["exit_code"], 0);
  EXPECT_EQ(json["process"]["cpu_user_s"], 22.0);
  EXPECT_EQ(json["process"]["cpu_system_s"], 0.9);
  EXPECT_EQ(json["process"]["rss_peak_bytes"], 812 * 1024 * 1024);
  EXPECT_TRUE(json["process"]["write_bytes"].is_number_integer());
  const auto& energy = json["energy"][0];
  EXPECT_EQ(energy["channel"], "rapl.package-0.energy");
  EXPECT_EQ(energy["domain"], "package-0");
  EXPECT_EQ(energy["origin"], "measured");
  EXPECT_EQ(energy["scope"], "host");
  EXPECT_EQ(energy["gross_j"], 412.3);
  EXPECT_LT(energy["low_j"], energy["gross_j"]);
  EXPECT_GT(energy["high_j"], energy["gross_j"]);
  EXPECT_EQ(energy["kind"], "bound");
  EXPECT_EQ(energy["idle_j"], 118.9);
  EXPECT_NEAR(energy["active_j"].get<double>(), 293.4, 1e-9);
  EXPECT_EQ(energy["resolvable"], true);
  EXPECT_EQ(json["energy"][1]["part_of"], "rapl.package-0.energy");
  EXPECT_EQ(json["sampler"]["ticks"], 1240);
  EXPECT_EQ(json["sampler"]["missed"], 0);
  EXPECT_EQ(json["sampler"]["cpu_s"], 0.02);
  EXPECT_EQ(json["settings"][1], (ordered_json{{"name", "baseline"}, {"value", "3s"}, {"origin", "environment"}}));
  expect_finite(json, "");
}

TEST(Json, ARequestCarriesItsTokensTimesRatesAndJoules) {
  const auto told = told_llm();
  const ordered_json json = to_json(summarise(told.run, told.ledger));
  const auto& first = json["requests"][0];
  EXPECT_EQ(first["id"], "p1");
  EXPECT_EQ(first["prompt_tokens"], 14);
  EXPECT_EQ(first["output_tokens"], 128);
  EXPECT_NEAR(first["ttft_s"].get<double>(), 0.0031, 1e-9);
  EXPECT_NEAR(first["e2e_s"].get<double>(), 0.45, 1e-9);
  EXPECT_NEAR(first["decode_tokens_per_s"].get<double>(), 127 / (0.45 - 0.0031), 1e-6);
  EXPECT_NEAR(first["prefill_tokens_per_s"].get<double>(), 14 / 0.0021, 1e-3);
  EXPECT_EQ(first["energy"][0]["origin"], "modelled");
  EXPECT_NEAR(first["energy"][0]["gross_j"].get<double>(), 2.84 * 0.45 * 1.1, 1e-9);
  EXPECT_NEAR(first["energy"][0]["charged_j"].get<double>(), 2.84 * 0.45, 1e-9);
  EXPECT_EQ(first["energy"][0]["kind"], "range");
}

TEST(Json, WhatIsNotResolvableHasANeededLengthAndNoJoules) {
  const auto told = told_llm();
  const ordered_json json = to_json(summarise(told.run, told.ledger));
  const auto& energy = json["requests"][3]["energy"][0];
  EXPECT_EQ(energy["resolvable"], false);
  EXPECT_EQ(energy["needed_s"], 0.32);
  EXPECT_FALSE(energy.contains("gross_j"));
  EXPECT_FALSE(energy.contains("low_j"));
}

TEST(Json, WhatIsAbsentIsLeftOutAndNamedWithItsReason) {
  const auto told = told_llm();
  const ordered_json json = to_json(summarise(told.run, told.ledger));
  EXPECT_FALSE(json["energy"][0].contains("idle_j"));
  EXPECT_TRUE(names_unavailable(json, "energy[cpu-model.cpu.power].idle_j"));
  EXPECT_FALSE(json["requests"][2].contains("output_tokens"));
  EXPECT_TRUE(names_unavailable(json, "requests[p3].output_tokens"));
  EXPECT_FALSE(json["requests"][2].contains("decode_tokens_per_s"));
  EXPECT_TRUE(names_unavailable(json, "requests[p3].decode_tokens_per_s"));
  EXPECT_TRUE(names_unavailable(json, "rapl"));
  EXPECT_EQ(json["requests"][2]["status"], "failed");
  expect_finite(json, "");
}

TEST(Json, AnInterruptedRunHasNoExitCodeButAReason) {
  auto told = told_command();
  told.run.run_state = RunState::interrupted;
  told.run.total_list.clear();
  const ordered_json json = to_json(summarise(told.run, told.ledger));
  EXPECT_EQ(json["state"], "interrupted");
  EXPECT_FALSE(json.contains("exit_code"));
  EXPECT_TRUE(names_unavailable(json, "exit_code"));
  EXPECT_TRUE(names_unavailable(json, "wall_s"));
}

TEST(Json, NeitherHostileBytesNorNotANumberBreakIt) {
  auto told = told_command();
  told.run.facts.set("run.command", std::string("a\xff\0b", 4), "flag");
  told.ledger.energy[0].mean_w = std::numeric_limits<double>::quiet_NaN();
  told.ledger.energy[0].gross->high = std::numeric_limits<double>::infinity();
  const ordered_json json = to_json(summarise(told.run, told.ledger));
  expect_finite(json, "");
  EXPECT_FALSE(json["energy"][0].contains("mean_w"));
  EXPECT_FALSE(json["energy"][0].contains("high_j"));
  EXPECT_NO_THROW((void)json.dump());
}

// 10 s at 100 Hz: a package of 30 W whose counter renews every ms, CPU busy 2 of 2 of which the target 1.5; two
// prompts.
testing::FakeRun real_run() {
  testing::FakeRun run;
  run.facts.set("run.kind", "llm", "prony");
  using testing::channel;
  run.channel_list = {channel(0, "rapl.package-0.energy", "package-0", Measure::energy, ChannelKind::counter),
                      channel(1, "cpu.busy", "cpu", Measure::cpu_time, ChannelKind::counter),
                      channel(2, "target.cpu", "cpu", Measure::cpu_time, ChannelKind::counter),
                      channel(3, "prony.cpu", "cpu", Measure::cpu_time, ChannelKind::counter),
                      channel(4, "thermal.x86.temperature", "x86", Measure::temperature, ChannelKind::gauge)};
  run.channel_list[0].scale = 1e-6;
  run.channel_list[0].range = 262'143'328'850;
  for (std::size_t i = 1; i < 4; ++i) run.channel_list[i].scale = 1e-9;
  run.channel_list[2].scope = Scope::target;
  run.channel_list[3].scope = Scope::prony;
  run.channel_list[4].scale = 1e-3;
  run.group_list = {
      {GroupId{0}, "fast", milliseconds(10), {ChannelId{0}, ChannelId{1}, ChannelId{2}, ChannelId{3}, ChannelId{4}}}};
  run.span_list = {testing::span(1, 0, SpanKind::run, "llm", 1, 9),
                   testing::span(10, 0, SpanKind::phase, "load", 1.2, 2)};
  for (std::uint64_t i = 0; i < 2; ++i) {
    const double begin = 2.5 + 3 * static_cast<double>(i);
    const std::uint64_t id = 100 + 10 * i;
    Span request = testing::span(id, 0, SpanKind::request, "p" + std::to_string(i), begin, begin + 2.5);
    request.counts = {{"prompt_tokens", 8}, {"output_tokens", 101}};
    run.span_list.push_back(request);
    run.span_list.push_back(testing::span(id + 1, id, SpanKind::prefill, "", begin, begin + 0.5));
    run.span_list.push_back(testing::span(id + 2, id, SpanKind::decode, "", begin + 0.5, begin + 2.5));
  }
  for (int b = 0; b < 10; ++b) {
    TickBlock block(GroupId{0}, 5, 100);
    for (int i = 0; i < 100; ++i) {
      const std::int64_t t = (std::int64_t{b} * 100 + i) * 10'000'000;
      const std::array<Reading, 5> readings{{{t / 1'000'000 * 30'000, Quality::ok},
                                             {2 * t, Quality::ok},
                                             {t + t / 2, Quality::ok},
                                             {t / 100, Quality::ok},
                                             {45'000, Quality::ok}}};
      block.push({t}, {t + 20'000}, readings);
    }
    run.blocks.push_back(std::move(block));
  }
  return run;
}

TEST(Summarise, ALedgerAddsUpToWhatWasRecorded) {
  const testing::FakeRun run = real_run();
  const auto summary = summarise(run);
  ASSERT_TRUE(summary.has_value());
  const ordered_json json = to_json(*summary);
  ASSERT_EQ(json["energy"].size(), 1u);
  const auto& ledger = json["energy"][0]["ledger"];
  double sum = 0;
  for (const char* party : {"target_j", "foreign_j", "prony_j", "idle_j", "unattributed_j"})
    if (ledger.contains(party)) sum += ledger[party].get<double>();
  EXPECT_NEAR(sum, ledger["recorded_j"].get<double>(), 1e-9 * sum);
  EXPECT_NEAR(ledger["recorded_j"].get<double>(), 299.7, 1e-6);
  EXPECT_NEAR(json["energy"][0]["gross_j"].get<double>(), 240, 1.2);
  EXPECT_NEAR(json["requests"][0]["energy"][0]["gross_j"].get<double>(), 75, 0.4);
  EXPECT_NEAR(json["requests"][0]["energy"][0]["charged_j"].get<double>(), 75 * 0.75, 0.6);
  EXPECT_TRUE(names_unavailable(json, "energy[rapl.package-0.energy].active_j"));
}

TEST(Summarise, ADamagedPartIsToldAndTheRestIsStillThere) {
  testing::FakeRun run = real_run();
  run.fail_at_block = 3;
  const auto summary = summarise(run);
  ASSERT_TRUE(summary.has_value());
  ASSERT_FALSE(summary->events.empty());
  EXPECT_EQ(summary->events.back().kind, "samples-damaged");
  EXPECT_EQ(summary->events.back().text, "chunk is damaged");
  EXPECT_NE(to_text(*summary, {}).find("chunk is damaged"), std::string::npos);
  EXPECT_FALSE(summary->requests.empty());
}

TEST(Summarise, AnyOtherReadErrorIsAnErrorAndNotAShortSummary) {
  testing::FakeRun run = real_run();
  run.fail_at_block = 3;
  run.fail_with = ErrorCode::denied;
  const auto summary = summarise(run);
  ASSERT_FALSE(summary.has_value());
  EXPECT_EQ(summary.error().code, ErrorCode::denied);
}

std::size_t column(const Table& table, const std::string& name) {
  for (std::size_t c = 0; c < table.columns().size(); ++c)
    if (table.columns()[c].name == name) return c;
  ADD_FAILURE() << "no column " << name;
  return 0;
}

TEST(Charges, AddUpToTheRecordedJoulesOfTheChannelsTable) {
  const testing::FakeRun run = real_run();
  const auto charges = make_table(run, "charges");
  ASSERT_TRUE(charges.has_value());
  std::vector<Cell> row((*charges)->columns().size());
  const std::size_t joules = column(**charges, "charged_j");
  double sum = 0;
  while ((*charges)->next(row).value()) sum += std::get<double>(row[joules]);
  const auto channels = make_table(run, "channels");
  ASSERT_TRUE(channels.has_value());
  ASSERT_TRUE((*channels)->next(row).value());
  EXPECT_NEAR(std::get<double>(row[column(**channels, "recorded_j")]), sum, 1e-9 * sum);
}

TEST(Charges, NameTheTargetOfWhatATargetIsChargedAndNoneOfWhatNobodyIs) {
  const testing::FakeRun run = real_run();
  const auto charges = make_table(run, "charges");
  ASSERT_TRUE(charges.has_value());
  std::vector<Cell> row((*charges)->columns().size());
  const std::size_t party = column(**charges, "party"), target = column(**charges, "target");
  std::size_t of_target = 0, of_others = 0;
  while ((*charges)->next(row).value()) {
    const bool charged = std::get<std::string>(row[party]) == "target";
    ++(charged ? of_target : of_others);
    const auto* name = std::get_if<std::string>(&row[target]);
    EXPECT_EQ(name == nullptr ? "" : *name, charged ? "command" : "");
  }
  EXPECT_GT(of_target, 0U);
  EXPECT_GT(of_others, 0U);
}

TEST(Requests, OneRowAPromptWithItsUnits) {
  const testing::FakeRun run = real_run();
  const auto requests = make_table(run, "requests");
  ASSERT_TRUE(requests.has_value());
  std::vector<Cell> row;
  ASSERT_TRUE((*requests)->next(row).value());
  ASSERT_EQ(row.size(), (*requests)->columns().size());
  EXPECT_EQ(std::get<std::string>(row[column(**requests, "id")]), "p0");
  EXPECT_NEAR(std::get<double>(row[column(**requests, "decode_tokens_per_s")]), 50, 1e-9);
  EXPECT_NEAR(std::get<double>(row[column(**requests, "temperature_max_celsius")]), 45, 1e-9);
  EXPECT_EQ(std::get<std::string>(row[column(**requests, "origin")]), "measured");
  EXPECT_TRUE((*requests)->next(row).value());
  EXPECT_FALSE((*requests)->next(row).value());
}

// Kills: a span that was stamped around asynchronous calls read as if the accelerator had worked then.
TEST(Json, ARequestThatWasStampedWithoutWaitingSaysSoAndWhyItHasNoJoules) {
  auto told = told_llm();
  for (Span& span : told.run.span_list)
    if (span.id.value == 100) span.attributes.emplace_back("clock", "host-asynchronous");
  for (SpanEnergy& energy : told.ledger.spans)
    if (energy.span.value == 100) {
      energy.resolvable = false;
      energy.gross.reset();
      energy.charged.reset();
      energy.absent = "the span was stamped by the host";
    }
  const Summary summary = summarise(told.run, told.ledger);
  const ordered_json json = to_json(summary);
  EXPECT_EQ(json["requests"][0]["clock"], "host-asynchronous");
  EXPECT_EQ(json["requests"][0]["energy"][0]["absent"], "the span was stamped by the host");
  EXPECT_FALSE(json["requests"][0]["energy"][0].contains("gross_j"));
  EXPECT_FALSE(json["requests"][1].contains("clock"));
  EXPECT_FALSE(json["requests"][1]["energy"][0].contains("absent"));
  const std::string text = to_text(summary, {120, false});
  EXPECT_NE(text.find("1 of 4 prompts stamped by the host around asynchronous calls"), std::string::npos) << text;
  EXPECT_NE(text.find("1 of 4 prompts: too short for the sensor"), std::string::npos) << "another one is: " << text;
}

}  // namespace
}  // namespace prony
