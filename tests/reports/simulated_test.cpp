// A Run of a simulated machine says so everywhere, and its true joules stand beside the measured ones; a real one's
// output knows nothing of it (its golden files pin that).
#include <gtest/gtest.h>

#include "fake_run.hpp"
#include "reports/summary_json.hpp"
#include "reports/summary_text.hpp"
#include "reports/tables.hpp"

namespace prony {
namespace {

using prony::testing::Told;
using prony::testing::told_command;

Told simulated(double package_j, double dram_j) {
  auto told = told_command();
  told.run.facts.set("machine.simulated", "laptop", "flag");
  told.run.facts.set("simulated.start_ns", "1234", "machine");
  told.run.facts.set("simulated.curve.package-0", "constant:3", "machine");
  told.run.facts.set("simulated.fault", "eio at 0.5 s", "flag");
  told.run.total_list.push_back({"simulated", "true_j.rapl.package-0.energy", package_j, "closed form"});
  told.run.total_list.push_back({"simulated", "true_j.rapl.package-0.dram.energy", dram_j, "closed form"});
  told.run.total_list.push_back({"simulated", "true_j.rapl.nobody.energy", 7, "closed form"});
  return told;
}

TEST(SimulatedRun, TheTruthStandsBesideWhatWasMeasuredInTheTable) {
  const auto told = simulated(412.31, 31.02);
  const auto text = to_text(summarise(told.run, told.ledger), {100, false});
  EXPECT_NE(text.find("SIMULATED"), std::string::npos) << text;
  EXPECT_NE(text.find("laptop: no joule here is real"), std::string::npos) << text;
  EXPECT_NE(text.find("fault eio at 0.5 s"), std::string::npos) << text;
  EXPECT_NE(text.find("truth"), std::string::npos) << text;
  EXPECT_NE(text.find("412.31 J"), std::string::npos) << text;
  EXPECT_NE(text.find("443.33 J"), std::string::npos) << text;  // the sum's, of the two domains that add up
  EXPECT_NE(text.find("inside low…high for 2 of 2 domains"), std::string::npos) << text;
}

// The plausible bug: calling every truth covered.
TEST(SimulatedRun, ATruthOutsideLowAndHighIsNamed) {
  const auto told = simulated(500, 31.02);
  const auto text = to_text(summarise(told.run, told.ledger), {100, false});
  EXPECT_NE(text.find("inside low…high for 1 of 2 domains"), std::string::npos) << text;
  EXPECT_NE(text.find("outside: package-0"), std::string::npos) << text;
}

TEST(SimulatedRun, JsonHasTheTruthOfEachDomainAndOfTheHeadlineOnlyWhereAllOfItIsKnown) {
  auto told = simulated(412.31, 31.02);
  auto json = to_json(summarise(told.run, told.ledger));
  EXPECT_EQ(json["simulated"]["machine"], "laptop");
  EXPECT_EQ(json["simulated"]["note"], "no joule here is real");
  EXPECT_EQ(json["energy"][0]["true_j"], 412.31);
  EXPECT_FALSE(json["energy"][1].contains("true_j"));  // core: nobody told, and that is told
  EXPECT_NE(json["unavailable"].dump().find("energy[rapl.package-0.core.energy].true_j"), std::string::npos);
  EXPECT_EQ(json["simulated"]["start_ns"], 1234);
  EXPECT_EQ(json["simulated"]["curves"]["package-0"], "constant:3");
  EXPECT_NEAR(json["headline"]["true_j"].get<double>(), 443.33, 1e-9);
  std::erase_if(told.run.total_list, [](const Total& t) { return t.name == "true_j.rapl.package-0.dram.energy"; });
  json = to_json(summarise(told.run, told.ledger));
  EXPECT_FALSE(json["headline"].contains("true_j"));  // half a sum is no sum
}

TEST(SimulatedRun, PromptsOnASimulatedMachineHaveTheTruthBesideTheirMachinesJoules) {
  auto told = prony::testing::told_llm();
  told.run.facts.set("machine.simulated", "vm", "flag");
  told.run.total_list.push_back({"simulated", "true_j.cpu-model.cpu.power", 8.1234, "closed form"});
  const auto text = to_text(summarise(told.run, told.ledger), {100, false});
  EXPECT_NE(text.find("vm: no joule here is real"), std::string::npos) << text;
  EXPECT_NE(text.find("truth 8.1234 J"), std::string::npos) << text;
  EXPECT_EQ(text.find("close them"), std::string::npos) << text;  // the others are simulated: nobody can
}

TEST(SimulatedRun, ARealRunHasNoneOfIt) {
  const auto told = told_command();
  const auto summary = summarise(told.run, told.ledger);
  const auto json = to_json(summary).dump();
  EXPECT_EQ(json.find("true_j"), std::string::npos);
  EXPECT_EQ(json.find("simulated"), std::string::npos);
  EXPECT_EQ(to_text(summary, {140, false}).find("truth"), std::string::npos);
}

}  // namespace
}  // namespace prony
