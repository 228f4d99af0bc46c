// Marginal energy: what would not have been drawn without the targets. Bugs in mind stand in front.
#include <gtest/gtest.h>

#include "office.hpp"

namespace prony::attribution {
namespace {

using namespace rig;

// 10 W idle and 20 W for each busy CPU. The target begins with the window, 3…7 s.
struct Shared : Office {
  Shared(double others_before, double others_then, double target = 1) {
    const auto step = [](double before, double then) {
      return Power{{origin, at_s(3), at_s(7)}, {before, then, before}};
    };
    add_energy("package-0", step(10 + 20 * others_before, 10 + 20 * (others_then + target)));
    add_cpu(Scope::host, "", step(others_before, others_then + target));
    add_cpu(Scope::target, "command", step(0, target));
    window(3, 7);
    baseline(1, 3);
  }
};

const ChannelLedger& row_of(const Ledger& ledger) { return ledger.energy[0]; }

// Bug: marginal is active under another name. Others used a tenth of a CPU more than during the baseline: 8 J of what
// is above it are theirs.
TEST(Marginal, WhatOthersUsedMoreThanDuringTheBaselineIsNotTheTargets) {
  const Ledger ledger = Shared(0.5, 0.6).attribute(9);
  const ChannelLedger& row = row_of(ledger);
  ASSERT_TRUE(row.active && row.marginal && row.target_active);
  EXPECT_NEAR(row.active->value, 88, 0.3);
  EXPECT_NEAR(row.marginal->value, 80, 0.5);
  EXPECT_LE(row.marginal->low, 72.5) << "what they used more may cost nothing, or twice as much";
  EXPECT_GE(row.marginal->high, 87.5);
  EXPECT_EQ(row.marginal->kind, EstimateKind::interval_95);
}

// Bug: it is the target's share of what is above the baseline; but others drew their part during the baseline, too.
TEST(Marginal, WhatOthersDrewDuringTheBaselineAsWellTakesNothingOfIt) {
  const Ledger ledger = Shared(0.5, 0.5).attribute(9);
  const ChannelLedger& row = row_of(ledger);
  ASSERT_TRUE(row.marginal && row.target_active);
  EXPECT_NEAR(row.marginal->value, 80, 0.5);
  EXPECT_NEAR(row.target_active->value, 80 / 1.5, 0.5);
}

TEST(Marginal, WhereOthersUsedLessTheTargetTookMoreThanWhatIsAboveTheBaseline) {
  const Ledger ledger = Shared(0.5, 0.4).attribute(9);
  ASSERT_TRUE(row_of(ledger).marginal);
  EXPECT_NEAR(row_of(ledger).active->value, 72, 0.3);
  EXPECT_NEAR(row_of(ledger).marginal->value, 80, 0.5);
}

// Bug: a quiet baseline tells what a busy co-tenant would have drawn alone.
TEST(Marginal, IsNotToldWhereOthersDidNotRunAsTheyDidDuringTheBaseline) {
  const Ledger ledger = Shared(0, 0.8).attribute(9);
  const ChannelLedger& row = row_of(ledger);
  ASSERT_TRUE(row.active);
  EXPECT_FALSE(row.marginal);
  EXPECT_EQ(reason_of(row.absent, "marginal"),
            "others used 0.80 CPUs in the window and 0.00 during the baseline: what would have been drawn without the "
            "targets is not known");
}

TEST(Marginal, EqualsActiveWhereNobodyElseRan) {
  const Ledger ledger = Shared(0, 0).attribute(9);
  ASSERT_TRUE(row_of(ledger).marginal);
  EXPECT_NEAR(row_of(ledger).marginal->value, row_of(ledger).active->value, 0.2);
}

// Bug: a kept baseline is taken for a quiet one.
TEST(Marginal, OfAKeptBaselineNeedsToKnowWhatOthersUsedThen) {
  for (const bool known : {false, true}) {
    Shared office(0.5, 0.5);
    office.run.spans.pop_back();
    office.options.known_idle = {{"test.package-0.energy", {20, 19.5, 20.5, EstimateKind::interval_95}}};
    if (known) office.options.known_idle_foreign_cpus = 0.5;
    const Ledger ledger = office.attribute(9);
    EXPECT_EQ(row_of(ledger).marginal.has_value(), known);
    EXPECT_EQ(reason_of(row_of(ledger).absent, "marginal"),
              known ? "" : "what others used of the CPUs while the baseline was measured is not known");
    if (known) {
      EXPECT_NEAR(row_of(ledger).marginal->value, 80, 0.5);
    }
  }
}

TEST(Marginal, OfAGraphicsProcessorIsNotToldFromCpuTime) {
  Shared office(0, 0);
  office.add_energy("gpu-0", Power{{origin, at_s(3)}, {5, 50}});
  const Ledger ledger = office.attribute(9);
  EXPECT_TRUE(ledger.energy[1].active);
  EXPECT_FALSE(ledger.energy[1].marginal);
  EXPECT_NE(reason_of(ledger.energy[1].absent, "marginal").find("not separable"), std::string::npos);
}

}  // namespace
}  // namespace prony::attribution
