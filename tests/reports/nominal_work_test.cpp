// Nominal core-seconds over a Summary whose every figure a test sets.
#include "reports/nominal_work.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "fake_run.hpp"

namespace prony {
namespace {

// Ten seconds of four cores at 2.4 GHz by name, which ran at 1.2 GHz; 20 s of CPU time, 12 of them the command's.
struct Worked {
  Summary summary;

  Worked() {
    summary.manifest.set("machine.cpus", "4", "machine");
    summary.manifest.set("machine.nominal_clock_hz", "2400000000", "machine");
    summary.manifest.set("machine.nominal_clock_source", "cpuinfo_max_freq", "machine");
    summary.window = {{0}, {10'000'000'000}};
    summary.headline_j = Estimate{50, 49, 51, EstimateKind::bound};
    CpuUse use;
    use.targets = {{"command", 12.0}};
    use.busy_s = 20;
    summary.cpu = use;
    gauge("cpufreq.policy0", "policy0", Measure::frequency, ChannelKind::gauge).mean = 1.2e9;
    for (const std::int64_t tokens : {30, 10}) {
      RequestRow row;
      row.span.kind = SpanKind::request;
      row.output_tokens = tokens;
      summary.requests.push_back(row);
    }
  }
  GaugeLedger& gauge(const char* name, const char* domain, Measure measure, ChannelKind kind) {
    GaugeRow row;
    row.channel = testing::channel(static_cast<std::uint32_t>(summary.gauges.size() + 1), name, domain, measure, kind);
    row.ledger.readings = 100;
    summary.gauges.push_back(row);
    return summary.gauges.back().ledger;
  }
  GaugeLedger& target_counter(const char* domain, Measure measure, double increase) {
    GaugeLedger& ledger = gauge((std::string("target.") + domain).c_str(), domain, measure, ChannelKind::counter);
    summary.gauges.back().channel.scope = Scope::target;
    ledger.increase = increase;
    return ledger;
  }
  [[nodiscard]] const NominalWork row(const char* of) const {
    const NominalWorks all = nominal_work(summary);
    const auto found = std::ranges::find(all.rows, of, &NominalWork::of);
    return found == all.rows.end() ? NominalWork{} : *found;
  }
};

// Kills: the clock's ratio upside down, the share of one core, work of a token from the command alone.
TEST(NominalWork, IsCpuTimeByTheClockItRanAtAndModelledWhereThatIsTheMachinesMean) {
  const Worked worked;
  const NominalWork machine = worked.row("machine"), command = worked.row("command");
  EXPECT_DOUBLE_EQ(machine.core_s, 10);  // 20 s at half the nominal clock
  EXPECT_DOUBLE_EQ(*machine.share_of_machine, 0.25);
  EXPECT_DOUBLE_EQ(*machine.s_per_output_token, 0.25);
  EXPECT_DOUBLE_EQ(*machine.core_s_per_gross_j, 0.2);
  EXPECT_FALSE(machine.core_s_per_charged_j);
  EXPECT_DOUBLE_EQ(command.core_s, 6);
  EXPECT_DOUBLE_EQ(*command.s_per_output_token, 0.15);
  EXPECT_FALSE(command.core_s_per_gross_j);
  EXPECT_EQ(machine.origin, Origin::modelled);
  const auto words = nominal_work_words(worked.summary);
  ASSERT_EQ(words.size(), 3u);
  EXPECT_NE(words.back().find("modelled"), std::string::npos) << words.back();
}

TEST(NominalWork, OfCountedCyclesIsDerivedAndNeedsNoClock) {
  Worked worked;
  worked.summary.gauges.clear();
  worked.target_counter("cycles", Measure::count, 4.8e9);
  worked.target_counter("counted", Measure::cpu_time, 11.9);
  const NominalWork command = worked.row("command");
  EXPECT_DOUBLE_EQ(command.core_s, 2);
  EXPECT_EQ(command.origin, Origin::derived);
  EXPECT_EQ(worked.row("machine").of, "");  // of all others nothing was counted
  EXPECT_EQ(nominal_work(worked.summary).absent.size(), 1u);
}

// Kills: the cycles of a part told as those of all.
TEST(NominalWork, CyclesThatWereCountedForAPartOfTheTimeAreNotToldAsAll) {
  Worked worked;
  worked.target_counter("cycles", Measure::count, 4.8e9);
  worked.target_counter("counted", Measure::cpu_time, 6);
  EXPECT_DOUBLE_EQ(worked.row("command").core_s, 6);
  EXPECT_EQ(worked.row("command").origin, Origin::modelled);
}

TEST(NominalWork, IsAbsentWithAReasonWhereTheMachineTellsNoNominalClock) {
  Worked worked;
  worked.summary.manifest.set("machine.nominal_clock_hz", "0", "machine");
  const NominalWorks all = nominal_work(worked.summary);
  EXPECT_TRUE(all.rows.empty());
  ASSERT_EQ(all.absent.size(), 1u);
  EXPECT_NE(all.absent[0].reason.find("no nominal clock"), std::string::npos);
  EXPECT_TRUE(nominal_work_words(worked.summary).empty());
  worked.summary.cpu.reset();
  EXPECT_NE(nominal_work(worked.summary).absent[0].reason.find("no CPU time"), std::string::npos);
}

TEST(NominalWork, OfATargetThatRequestsAreChargedFromHasTheirTokens) {
  Worked worked;
  worked.summary.manifest.set("requests.target", "server", "prony");
  worked.summary.cpu->targets = {{"command", 2.0}, {"server", 10.0}, {"unseen", std::nullopt}};
  EXPECT_FALSE(worked.row("command").s_per_output_token);
  EXPECT_DOUBLE_EQ(*worked.row("server").s_per_output_token, 0.125);
  EXPECT_EQ(nominal_work(worked.summary).rows.size(), 3u);
}

}  // namespace
}  // namespace prony
