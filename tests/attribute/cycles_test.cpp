// Splitting by cycles: only where all of everybody's were counted. Bugs in mind stand in front.
#include <gtest/gtest.h>

#include "office.hpp"

namespace prony::attribution {
namespace {

using namespace rig;

// Each of a and b runs on a CPU of its own, a at three times the clock of b; 60 J in the window of 4 s.
struct TwoClocks : Office {
  TwoClocks() {
    add_energy("package-0", steady(15));
    add_cpu(Scope::host, "", steady(2));
    add_cpu(Scope::target, "a", steady(1));
    add_cpu(Scope::target, "b", steady(1));
    add(use_channel(Scope::host, "", Measure::count, "cycles"), counting(steady(4)));
    options.targets = {"a", "b"};
    window(1, 5);
  }
  void add_counts(const std::string& target, Source cycles, double counted_share) {
    add(use_channel(Scope::target, target, Measure::count, "cycles"), std::move(cycles));
    add(use_channel(Scope::target, target, Measure::time, "counted"), counting(steady(counted_share)));
  }
};

Source gap_between(Source source, double from_s, double to_s) {
  return [=, source = std::move(source)](std::int64_t t) {
    return t >= at_s(from_s) && t < at_s(to_s) ? Reading{0, Quality::gap} : source(t);
  };
}

const TargetEnergy& of_target(const Ledger& ledger, std::size_t target) { return ledger.energy[0].targets[target]; }

TEST(Cycles, WhatRanAtThreeTimesTheClockIsChargedThreeTimesAsMuch) {
  TwoClocks office;
  office.add_counts("a", counting(steady(3)), 1);
  office.add_counts("b", counting(steady(1)), 1);
  const Ledger ledger = office.attribute(6);
  EXPECT_NEAR(of_target(ledger, 0).charged->value, 45, 0.1);
  EXPECT_NEAR(of_target(ledger, 1).charged->value, 15, 0.1);
  EXPECT_EQ(ledger.energy[0].method, "by CPU cycles, in windows of 100 ms");
  EXPECT_EQ(ledger.cpu_split, "by CPU cycles, in windows of 100 ms");
  EXPECT_NEAR(*ledger.cpu->targets[0].cpu_s, 4, 0.01) << "CPU time is told as before";
  EXPECT_NEAR(parties_of(ledger.energy[0]), ledger.energy[0].recorded.value, 1e-9);
}

// Bug: a counter that was lost in the middle of the Run is asked only whether it ever read: a share of a part.
TEST(Cycles, ATargetThatCouldNotBeCountedToTheEndIsSplitByCpuTimeForTheWholeRun) {
  for (const auto& [from_s, to_s] : {std::pair{3.0, 99.0}, std::pair{2.0, 2.2}}) {
    TwoClocks office;
    office.add_counts("a", gap_between(counting(steady(3)), from_s, to_s), 1);
    office.add_counts("b", counting(steady(1)), 1);
    const Ledger ledger = office.attribute(6);
    EXPECT_NEAR(of_target(ledger, 0).charged->value, 30, 0.1);
    EXPECT_NEAR(of_target(ledger, 1).charged->value, 30, 0.1);
    EXPECT_EQ(ledger.energy[0].method,
              "by CPU time (not by CPU cycles: those of a were not counted all the time), in windows of 100 ms");
    EXPECT_EQ(ledger.cpu_split, ledger.energy[0].method);
  }
}

// Bug: what failed before or after the measured window spoils it.
TEST(Cycles, AGapOutsideTheWindowIsNoGap) {
  TwoClocks office;
  office.add_counts("a", gap_between(counting(steady(3)), 5.1, 99), 1);
  office.add_counts("b", counting(steady(1)), 1);
  EXPECT_NEAR(of_target(office.attribute(6), 0).charged->value, 45, 0.1);
}

// Bug: processes that were never found, or were counted twice, are seen by nobody: their target's cycles look whole.
TEST(Cycles, EventsThatCountedForAnotherTimeThanTheTargetUsedAreNotUsed) {
  for (const double counted : {0.9, 1.1}) {
    TwoClocks office;
    office.add_counts("a", counting(steady(3 * counted)), counted);
    office.add_counts("b", counting(steady(1)), 1);
    const Ledger ledger = office.attribute(6);
    EXPECT_NEAR(of_target(ledger, 0).charged->value, 30, 0.1);
    EXPECT_EQ(ledger.energy[0].method, std::string("by CPU time (not by CPU cycles: those of a were counted for ") +
                                           (counted < 1 ? "3.600" : "4.400") +
                                           " s of its 4.000 s of CPU time), in windows of 100 ms");
  }
  TwoClocks office;
  office.add_counts("a", counting(steady(3)), 0.98);
  office.add_counts("b", counting(steady(1)), 1);
  EXPECT_NEAR(of_target(office.attribute(6), 0).charged->value, 45, 0.1) << "as much as interrupts make";
}

TEST(Cycles, WhereTheMachinesOwnWereNotCountedAllTheTimeNobodysAreUsed) {
  Office office;
  office.add_energy("package-0", steady(15));
  office.add_cpu(Scope::host, "", steady(2));
  office.add_cpu(Scope::target, "a", steady(1));
  office.add(use_channel(Scope::host, "", Measure::count, "cycles"), gap_between(counting(steady(4)), 2, 2.5));
  office.add(use_channel(Scope::target, "a", Measure::count, "cycles"), counting(steady(3)));
  office.options.targets = {"a"};
  office.window(1, 5);
  const Ledger ledger = office.attribute(6);
  EXPECT_NEAR(of_target(ledger, 0).charged->value, 30, 0.1);
  EXPECT_NE(ledger.cpu_split.find("those of the machine were not counted all the time"), std::string::npos);
}

}  // namespace
}  // namespace prony::attribution
