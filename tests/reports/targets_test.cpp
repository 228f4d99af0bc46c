// What a Run with targets prints: a row each, what is left, and all of it adding up to gross.
#include <gtest/gtest.h>

#include "fake_run.hpp"
#include "reports/summary.hpp"
#include "reports/summary_json.hpp"
#include "reports/summary_text.hpp"
#include "reports/target_tables.hpp"

namespace prony {
namespace {

using testing::about;
using testing::Told;

// Two domains; the command and a server; three processes that were followed. dram cannot be split.
Told two_targets() {
  Told t = testing::told_command();
  t.run.target_list = {{"command", ""}, {"web", "--port web=8080"}};
  t.run.process_list = {{41, 7, 1, "client", {}, 0, 0, true, 1, "command"},
                        {42, 8, 1, "server", {}, 0, 0, false, 2, "web"},
                        {43, 9, 1, "stranger", {}, 0, 0, false, 3, ""}};
  Ledger& l = t.ledger;
  l.cpu = CpuUse{{{"command", 2.0}, {"web", 6.0}}, 0.04, 4.0, 12.04, 4.0 / 12.04};
  ChannelLedger& package = l.energy[0];
  package.target = about(281.0, 0.001);
  package.targets = {{"command", about(81.0, 0.001), about(81.0, 0.001), 0.3, about(1.0, 0.001), {}},
                     {"web", about(200.0, 0.001), about(200.0, 0.001), 0.6, about(20.0, 0.001), {}}};
  package.processes = {{2, 5.4, about(180, 0.001)}, {1, 1.9, about(80, 0.001)}, {3, 4.0, about(12, 0.001)}};
  package.foreign_unfollowed = about(0.3, 0.001);
  ChannelLedger& dram = l.energy[2];
  dram.foreign.reset();
  dram.targets = {{"command", {}, {}, {}, {}, {{"charged", "not separable: no residents"}}},
                  {"web", {}, {}, {}, {}, {{"charged", "not separable: no residents"}}}};
  return t;
}

// Kills: a channel that could not be split counted into gross, idle left out of the sum, a party counted twice.
TEST(Targets, RowsAndWhatIsLeftAddUpToGrossOfWhatWasSplit) {
  const Told t = two_targets();
  const Summary s = summarise(t.run, t.ledger);
  ASSERT_EQ(s.split.rows, std::vector<std::size_t>{0});
  EXPECT_EQ(s.split.left_out, std::vector<std::size_t>{2});
  ASSERT_TRUE(s.split.unattributed && s.targets[0].charged && s.targets[1].charged);
  EXPECT_DOUBLE_EQ(s.targets[0].charged->value + s.targets[1].charged->value + s.split.foreign->value +
                       s.split.prony->value + s.split.idle->value + s.split.unattributed->value,
                   s.split.gross->value);
  EXPECT_DOUBLE_EQ(s.split.gross->value, 412.3);
  EXPECT_LE(s.split.unattributed->low, s.split.unattributed->value);
  EXPECT_GE(s.split.unattributed->high, s.split.unattributed->value);
  EXPECT_EQ(s.targets[1].cpu_s, 6.0);
  EXPECT_DOUBLE_EQ(*s.targets[1].mean_w, 200.0 / 12.4);
  EXPECT_NEAR(*s.targets[0].share + *s.targets[1].share + (12.3 + 0.11) / (281 + 12.3 + 0.11), 1, 1e-12);
}

TEST(Targets, ProcessesOfATargetAndItsRestAreItsCharge) {
  const Told t = two_targets();
  const Summary s = summarise(t.run, t.ledger);
  ASSERT_EQ(s.processes.size(), 3U);
  EXPECT_EQ(s.processes[0].process.name, "server");
  for (const UnseenRow& unseen : s.unseen) {
    double sum = unseen.charged.value;
    for (const ProcessRow& row : s.processes)
      if (row.process.target == unseen.target) sum += row.charged.value;
    const double charge = unseen.target.empty()        ? s.split.foreign->value
                          : unseen.target == "command" ? s.targets[0].charged->value
                                                       : s.targets[1].charged->value;
    EXPECT_NEAR(sum, charge, 1e-9) << unseen.target;
  }
}

TEST(Targets, TheTextTellsEachTargetTheOthersAndThePolicy) {
  const Told t = two_targets();
  TextOptions options;
  options.top = 2;
  options.width = 120;
  const std::string text = to_text(summarise(t.run, t.ledger), options);
  for (const char* words :
       {"--port web=8080", "others", "unattributed", "gross", "others used 33 % of the CPU time",
        "not dram: not separable", "--idle-to none", "and 1 more", "not seen one by one", "WARNING"})
    EXPECT_NE(text.find(words), std::string::npos) << words << "\n" << text;
  EXPECT_EQ(text.find("stranger"), std::string::npos) << "--top 2 shows two";
}

// Kills: the warning that looks at joules where it should look at time, or comes below a tenth.
TEST(Targets, OthersAreAlwaysToldAndWarnedOfOverATenth) {
  Told t = two_targets();
  t.ledger.cpu->foreign_share = 0.09;
  const std::string calm = to_text(summarise(t.run, t.ledger), {});
  EXPECT_NE(calm.find("others used 9 % of the CPU time"), std::string::npos) << calm;
  EXPECT_EQ(calm.find("WARNING"), std::string::npos) << calm;
  t.ledger.cpu->foreign_share = 0.11;
  const std::string loud = to_text(summarise(t.run, t.ledger), {});
  EXPECT_NE(loud.find("others used 11 % of the CPU time: close them"), std::string::npos) << loud;
}

TEST(Targets, JsonAndTablesHaveTheSameFigures) {
  const Told t = two_targets();
  const auto json = to_json(summarise(t.run, t.ledger));
  ASSERT_EQ(json.at("targets").size(), 2U);
  EXPECT_EQ(json["targets"][1]["name"], "web");
  EXPECT_EQ(json["targets"][1]["charged_j"], 200.0);
  EXPECT_EQ(json["split"]["gross_j"], 412.3);
  EXPECT_EQ(json["cpu"]["foreign_share"], 4.0 / 12.04);
  EXPECT_EQ(json["processes"].size(), 3U);
  EXPECT_EQ(json["idle_to"], "none");
  bool told = false;
  for (const auto& absent : json["unavailable"])
    told = told || absent["name"] == "targets[web].energy[rapl.package-0.dram.energy].charged_j";
  EXPECT_TRUE(told);
}

// Bug: who ended before anybody looked is told to have started at tick 0.
TEST(Targets, AProcessWhoseStartIsNotKnownHasNoneInJsonAndAnEmptyCell) {
  Told t = two_targets();
  for (ProcessRecord& process : t.run.process_list)
    if (process.name == "server") process.start_ticks.reset();
  const auto json = to_json(summarise(t.run, t.ledger));
  for (const auto& row : json.at("processes")) EXPECT_EQ(row.contains("start_ticks"), row["name"] != "server");
  const auto table = processes_table(summarise(t.run, t.ledger));
  ASSERT_TRUE(table);
  std::vector<Cell> cells;
  int absent = 0;
  while (table->next(cells).value_or(false)) {
    if (cells[2] == Cell(std::string("server"))) {
      ++absent;
      EXPECT_TRUE(std::holds_alternative<std::monostate>(cells[1]));
    } else if (cells[2] != Cell(std::string("not seen one by one"))) {
      EXPECT_TRUE(std::holds_alternative<std::int64_t>(cells[1]));
    }
  }
  EXPECT_EQ(absent, 1);
}

// Kills: a relay's joules told as those of requests without a word.
TEST(Targets, RequestsThatAreChargedFromARelayAreWarnedOf) {
  Told t = two_targets();
  const auto text_of = [&] { return to_text(summarise(t.run, t.ledger), {}); };
  for (ProcessRecord& process : t.run.process_list)
    if (process.target == "web") process.name = "prony-proxy";
  EXPECT_EQ(text_of().find("passes requests on"), std::string::npos) << "no request is charged from it";
  t.run.facts.set("requests.target", "web", "prony");
  EXPECT_NE(text_of().find("who listens on that port is prony-proxy, which passes requests on"), std::string::npos);
  EXPECT_EQ(to_json(summarise(t.run, t.ledger))["targets"][1]["relay"], "prony-proxy");
  t.run.process_list.push_back(t.run.process_list.back());
  t.run.process_list.back().target = "web";
  t.run.process_list.back().name = "llama-server";
  EXPECT_EQ(text_of().find("passes requests on"), std::string::npos) << "a server is there too";
}

TEST(Targets, ARunWithoutThemHasNoSuchWords) {
  Told t = testing::told_command();
  const auto json = to_json(summarise(t.run, t.ledger));
  EXPECT_FALSE(json.contains("targets") || json.contains("split") || json.contains("idle_to"));
  EXPECT_EQ(to_text(summarise(t.run, t.ledger), {}).find("unattributed"), std::string::npos);
}

TEST(Targets, AWatchWithoutACommandNamesWhomItWatchedAndMissesNoExitCode) {
  Told t = two_targets();
  t.run.facts.set("run.kind", "watch", "prony");
  t.run.facts.facts.erase(std::remove_if(t.run.facts.facts.begin(), t.run.facts.facts.end(),
                                         [](const Fact& f) { return f.key == "run.command"; }),
                          t.run.facts.facts.end());
  t.run.target_list.erase(t.run.target_list.begin());
  std::erase_if(t.run.total_list, [](const Total& total) { return total.name.starts_with("exit"); });
  const Summary s = summarise(t.run, t.ledger);
  const std::string text = to_text(s, {});
  EXPECT_EQ(text.find("exit not recorded"), std::string::npos) << text;
  for (const Unavailable& absent : s.unavailable) EXPECT_NE(absent.subject, "exit_code");
  EXPECT_EQ(text.find("\nprony run "), 0U) << "a Run of an older version does not say what made it";
  t.run.facts.set("run.by", "prony monitor", "prony");
  EXPECT_EQ(to_text(summarise(t.run, t.ledger), {}).find("\nprony monitor "), 0U);
}

// Bug: a crash of the watched program was printed as "web was there", and no line said how it ended.
TEST(Targets, HowAWatchedProcessEndedIsTold) {
  Told t = two_targets();
  t.run.facts.set("run.kind", "watch", "prony");
  const Instant end = t.ledger.window.end;
  t.run.event_list = {{end - milliseconds(900), "target-appeared", "web", ""},
                      {end - milliseconds(20), "target-gone", "web", ""},
                      {end, "target-ended", "web", "killed by signal 11 (SIGSEGV)"}};
  std::erase_if(t.run.total_list, [](const Total& total) { return total.name.starts_with("exit"); });
  t.run.total_list.push_back({"target", "exit_code", 139, "pidfd"});
  t.run.total_list.push_back({"target", "exit_signal", 11, "pidfd"});
  const Summary s = summarise(t.run, t.ledger);
  const std::string text = to_text(s, {});
  EXPECT_NE(text.find("web was there at 11.5 s"), std::string::npos) << text;
  EXPECT_NE(text.find("web was gone at 12.4 s"), std::string::npos) << text;
  EXPECT_NE(text.find("web: killed by signal 11 (SIGSEGV) at 12.4 s"), std::string::npos) << text;
  EXPECT_NE(text.find(" · killed by signal 11 ·"), std::string::npos) << "in the first lines\n" << text;
  EXPECT_EQ(to_json(s)["exit_signal"], 11);
}

}  // namespace
}  // namespace prony
