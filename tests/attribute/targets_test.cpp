// Several targets in one Run: who is charged what, in closed form.
#include <gtest/gtest.h>

#include "office.hpp"

namespace prony {
namespace {

using namespace rig;

// 40 W on one busy CPU: 0.5 of it is a's, 0.2 b's, 0.1 Prony's, 0.2 everybody else's.
Office two_targets() {
  Office office;
  office.add_energy("package-0", steady(40));
  office.add_cpu(Scope::host, "", steady(1.0));
  office.add_cpu(Scope::target, "a", steady(0.5));
  office.add_cpu(Scope::target, "b", steady(0.2));
  office.add_cpu(Scope::prony, "", steady(0.1));
  office.window(1, 9);
  return office;
}

// Kills: the first target's share given to all of them; a second target left in foreign; a name lost.
TEST(Targets, EachIsChargedWhatItUsedAndTogetherTheyAreTheTargetsPart) {
  Office office = two_targets();
  const Ledger ledger = office.attribute(10);
  const ChannelLedger& row = ledger.energy[0];
  ASSERT_EQ(row.targets.size(), 2u);
  EXPECT_EQ(row.targets[0].target, "a");
  EXPECT_NEAR(row.targets[0].charged->value, 160, 0.3);
  EXPECT_NEAR(row.targets[1].charged->value, 64, 0.2);
  EXPECT_NEAR(*row.targets[1].share, 0.2, 1e-3);
  EXPECT_NEAR(row.target->value, row.targets[0].charged->value + row.targets[1].charged->value, 1e-9);
  EXPECT_NEAR(row.foreign->value, 64, 0.2);
  EXPECT_FALSE(row.targets[0].active);
  EXPECT_NE(reason_of(row.targets[0].absent, "active").find("baseline"), std::string::npos);
  EXPECT_EQ(row.method, "by CPU time, in windows of 100 ms");
  ASSERT_TRUE(ledger.cpu);
  EXPECT_NEAR(*ledger.cpu->targets[1].cpu_s, 1.6, 1e-3);
  EXPECT_NEAR(ledger.cpu->busy_s, 8, 1e-3);
  EXPECT_NEAR(*ledger.cpu->foreign_share, 0.2, 1e-3);
  double b = 0;
  for (const Charge& charge : ledger.charges) b += charge.target == "b" ? charge.joules.value : 0;
  EXPECT_NEAR(b, row.targets[1].charged->value, 1e-9);
}

// Kills: a target that was asked for and never seen told as 0 J; the Run's order forgotten.
TEST(Targets, OneThatNobodyCountedIsAbsentWithTheReasonAndTheRunsOrderStays) {
  Office office = two_targets();
  office.options.targets = {"ghost", "b", "a"};
  const Ledger ledger = office.attribute(10);
  const ChannelLedger& row = ledger.energy[0];
  ASSERT_EQ(row.targets.size(), 3u);
  EXPECT_EQ(row.targets[1].target, "b");
  EXPECT_FALSE(row.targets[0].charged);
  EXPECT_EQ(reason_of(row.targets[0].absent, "charged"), "what ghost used was not recorded: its part is in foreign");
  EXPECT_FALSE(ledger.cpu->targets[0].cpu_s);
  EXPECT_NEAR(row.target->value, 224, 0.5);
}

// Kills: one package's joules shared by what ran on the other; the platform split by a package.
TEST(Targets, AMachineOfTwoPackagesIsSplitPackageByPackage) {
  Office office;
  const ChannelId psys = office.add_energy("psys", steady(100));
  const ChannelId one = office.add_energy("package-0", steady(50), psys);
  office.add_energy("package-1", steady(20), psys);
  office.add_energy("core", steady(10), one);
  office.add_cpu(Scope::host, "", steady(2));
  office.add_cpu(Scope::target, "a", steady(1));
  office.add_cpu(Scope::target, "b", steady(1));
  for (const auto& [package, a, b] : {std::tuple("package-0", 0.9, 0.1), std::tuple("package-1", 0.1, 0.9)}) {
    office.add_cpu(Scope::host, "", steady(1), package);
    office.add_cpu(Scope::target, "a", steady(a), package);
    office.add_cpu(Scope::target, "b", steady(b), package);
  }
  office.window(1, 9);
  const Ledger ledger = office.attribute(10);
  const double truth[] = {50, 45, 2, 9};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(ledger.energy[i].targets[0].charged->value, 8 * truth[i], 0.3) << i;
  EXPECT_EQ(ledger.energy[2].method, "by CPU time on package-1, in windows of 100 ms");
  EXPECT_EQ(ledger.energy[0].method, ledger.cpu_split);
}

// Kills: cycles that were counted and not used: half the time at a third of the clock is not half the energy.
TEST(Targets, WhereCyclesWereCountedTheyAreTheWeight) {
  Office office = two_targets();
  office.add(use_channel(Scope::host, "", Measure::count, "cycles"), counting(steady(4)));
  office.add(use_channel(Scope::target, "a", Measure::count, "cycles"), counting(steady(1)));
  office.add(use_channel(Scope::target, "b", Measure::count, "cycles"), counting(steady(3)));
  const Ledger ledger = office.attribute(10);
  EXPECT_NEAR(ledger.energy[0].targets[0].charged->value, 80, 0.3);
  EXPECT_NEAR(ledger.energy[0].targets[1].charged->value, 240, 0.3);
  EXPECT_EQ(ledger.energy[0].method, "by CPU cycles, in windows of 100 ms");
  EXPECT_NEAR(*ledger.cpu->targets[0].cpu_s, 4, 0.01) << "CPU time stays CPU time";
}

// Kills: memory's energy given to who computes, not to who holds it.
TEST(Targets, MemoryIsSplitByWhoHoldsItWhereThatWasRead) {
  Office office = two_targets();
  office.add_energy("dram-0", steady(8));
  office.add(memory_gauge(Scope::host, "memory.used"), holding(16'000));
  office.add(memory_gauge(Scope::target, "target.a.rss", "a"), holding(2'000));
  office.add(memory_gauge(Scope::target, "target.b.rss", "b"), holding(6'000));
  const Ledger ledger = office.attribute(10);
  EXPECT_NEAR(ledger.energy[1].targets[0].charged->value, 8, 0.1);
  EXPECT_NEAR(ledger.energy[1].targets[1].charged->value, 24, 0.1);
  EXPECT_NEAR(ledger.energy[1].foreign->value, 32, 0.1);
  EXPECT_EQ(ledger.energy[1].method, "by resident memory, in windows of 100 ms");
  EXPECT_EQ(reason_of(ledger.energy[1].absent, "prony"),
            "no resident memory of Prony itself was recorded: its part is in foreign");
  EXPECT_NEAR(ledger.energy[0].targets[0].charged->value, 160, 0.3);
}

// Kills: a guess where nobody knows; and not taking what is known.
TEST(Targets, AnAcceleratorIsSplitByItsOwnUseOrNotAtAll) {
  Office office = two_targets();
  office.add_energy("gpu-0", steady(200));
  const ChannelLedger guess = office.attribute(10).energy[1];
  EXPECT_FALSE(guess.target || guess.foreign || guess.targets[0].charged);
  EXPECT_NE(reason_of(guess.absent, "target").find("not separable"), std::string::npos);
  EXPECT_NE(reason_of(guess.targets[1].absent, "charged").find("not separable"), std::string::npos);
  EXPECT_NEAR(guess.unattributed.value, guess.recorded.value, 1e-9);
  EXPECT_NEAR(guess.gross->value, 1600, 1);
  office.add(use_channel(Scope::host, "", Measure::time, "gpu-0"), counting(steady(0.8)));
  office.add(use_channel(Scope::target, "a", Measure::time, "gpu-0"), counting(steady(0.2)));
  office.add(use_channel(Scope::target, "b", Measure::time, "gpu-0"), counting(steady(0.6)));
  const ChannelLedger known = office.attribute(10).energy[1];
  EXPECT_NEAR(known.targets[0].charged->value, 400, 1);
  EXPECT_NEAR(known.targets[1].charged->value, 1200, 1);
}

// Idle 10 W, 30 W in the window of 4 s; a uses half, b an eighth of what is busy.
Office with_baseline(IdleTo policy, double watts = 30, double rest_s = 0) {
  Office office;
  office.add_energy("package-0", Power{{origin, at_s(3), at_s(7)}, {10, watts, 10}});
  const Power busy{{origin, at_s(3), at_s(7 - rest_s)}, {0, 1, 0}};
  const auto part = [&](double share) {
    Power power = busy;
    for (double& rate : power.watts) rate *= share;
    return power;
  };
  office.add_cpu(Scope::host, "", busy);
  office.add_cpu(Scope::target, "a", part(0.5));
  office.add_cpu(Scope::target, "b", part(0.125));
  office.window(3, 7);
  office.baseline(1, 3);
  office.options.idle_to = policy;
  return office;
}

// Kills: idle given away twice or lost; a policy that changes what is above idle; the policy not said.
TEST(IdleTo, MovesTheIdlePartBetweenTheBucketsAndNothingElse) {
  struct Case {
    IdleTo policy;
    double a, b, foreign, idle;
  };
  for (const Case& c :
       {Case{IdleTo::none, 40, 10, 30, 40}, Case{IdleTo::share, 60, 15, 45, 0}, Case{IdleTo::target, 72, 18, 30, 0}}) {
    const Ledger ledger = with_baseline(c.policy).attribute(9);
    const ChannelLedger& row = ledger.energy[0];
    EXPECT_NEAR(row.targets[0].charged->value, c.a, 0.2);
    EXPECT_NEAR(row.targets[1].charged->value, c.b, 0.2);
    EXPECT_NEAR(row.foreign->value, c.foreign, 0.2);
    EXPECT_EQ(row.idle.has_value(), c.idle > 0);
    if (row.idle) {
      EXPECT_NEAR(row.idle->value, c.idle, 0.2);
    }
    EXPECT_NEAR(row.targets[0].active->value, 40, 0.2);
    EXPECT_NEAR(row.target_active->value, 50, 0.2);
    EXPECT_NEAR(parties_of(row), row.recorded.value, 1e-9);
    EXPECT_NEAR(sum_of_charges(ledger, row.channel), row.recorded.value, 1e-9);
    EXPECT_LE(row.targets[0].charged->low, row.targets[0].charged->value);
    EXPECT_GE(row.targets[0].charged->high, row.targets[0].charged->value);
  }
  EXPECT_EQ(with_baseline(IdleTo::target).attribute(9).energy[0].method,
            "by CPU time, in windows of 100 ms; idle to the targets");
}

// Kills: idle of cells without any CPU time lost; a sleeping server whose idle goes to nobody under "target".
TEST(IdleTo, WhereNobodyWorksShareLeavesItIdleAndTargetStillPays) {
  const ChannelLedger share = with_baseline(IdleTo::share, 30, 1).attribute(9).energy[0];
  ASSERT_TRUE(share.idle);
  EXPECT_NEAR(share.idle->value, 10, 1.1) << "within one cell";
  EXPECT_NEAR(parties_of(share), share.recorded.value, 1e-9);
  const ChannelLedger target = with_baseline(IdleTo::target, 30, 1).attribute(9).energy[0];
  EXPECT_FALSE(target.idle);
  EXPECT_NEAR(target.targets[0].charged->value - target.targets[0].active->value, 32, 0.3);
  EXPECT_NEAR(target.targets[1].charged->value - target.targets[1].active->value, 8, 0.3);
  EXPECT_NEAR(parties_of(target), target.recorded.value, 1e-9);
}

// Kills: negative energy above idle clipped, or a policy whose shares turn over with it.
TEST(IdleTo, ANegativeRestIsShownAndStillAddsUp) {
  for (const IdleTo policy : {IdleTo::none, IdleTo::share, IdleTo::target}) {
    const ChannelLedger row = with_baseline(policy, 6).attribute(9).energy[0];
    EXPECT_NEAR(row.targets[0].active->value, -8, 0.2);
    EXPECT_NEAR(parties_of(row), row.recorded.value, 1e-9);
    if (policy == IdleTo::share) {
      EXPECT_NEAR(row.targets[0].charged->value, 12, 0.2) << "half of the gross";
    }
    if (policy == IdleTo::target) {
      EXPECT_NEAR(row.targets[0].charged->value, -8 + 32, 0.2);
    }
  }
}

TEST(IdleTo, ItsWordsGoBothWays) {
  for (const IdleTo policy : {IdleTo::none, IdleTo::share, IdleTo::target})
    EXPECT_EQ(idle_to_from(to_string(policy)), policy);
  EXPECT_FALSE(idle_to_from("everybody"));
}

Span written(Span span, std::int64_t pid) {
  span.pid = pid;
  return span;
}

// Kills: a server's requests charged with the client's joules; a pid that was given again taken for who had it first.
TEST(TargetSpans, ASpanIsChargedFromTheTargetWhoseProcessWroteIt) {
  Office office = two_targets();
  office.run.spans.push_back(written(span(2, SpanKind::request, "from a", at_s(2), at_s(4), 1), 11));
  office.run.spans.push_back(written(span(3, SpanKind::request, "from b", at_s(2), at_s(4), 1), 12));
  office.run.spans.push_back(written(span(4, SpanKind::request, "again 11", at_s(6), at_s(7), 1), 11));
  office.run.spans.push_back(written(span(5, SpanKind::decode, "", at_s(3), at_s(4), 3), 11));
  office.follow(1, "a", 11);
  office.processes[0].seen = {Instant{origin}, Instant{at_s(5)}};
  office.follow(2, "b", 12);
  office.follow(3, "b", 11);
  office.processes[2].seen = {Instant{at_s(5)}, Instant{at_s(9)}};
  const Ledger ledger = office.attribute(10);
  const auto charged = [&](std::uint64_t id) { return span_energy(ledger, id)->charged->value; };
  EXPECT_NEAR(charged(2), 40, 0.1) << "alone in a, though b's request runs as well";
  EXPECT_NEAR(charged(3), 16, 0.1);
  EXPECT_NEAR(charged(4), 8, 0.1);
  EXPECT_NEAR(charged(5), 8, 0.1) << "a part follows its request, whoever wrote it";
  EXPECT_NEAR(sum_of_charges(ledger, ledger.energy[0].channel), ledger.energy[0].recorded.value, 1e-9);
}

// Kills: requests that Prony's own client wrote charged to whoever comes first.
TEST(TargetSpans, TheRunMayNameTheTargetThatRequestsAreChargedFrom) {
  Office office = two_targets();
  office.run.spans.push_back(written(span(2, SpanKind::request, "r", at_s(2), at_s(4), 1), 11));
  office.follow(1, "a", 11);
  EXPECT_NEAR(span_energy(office.attribute(10), 2)->charged->value, 40, 0.1);
  office.options.requests_target = "b";
  EXPECT_NEAR(span_energy(office.attribute(10), 2)->charged->value, 16, 0.1);
}

// Kills: joules of an accelerator for a span whose work may run later than the host says.
TEST(TargetSpans, AroundAsynchronousCallsAnAcceleratorsJoulesAreNotTold) {
  Office office = two_targets();
  office.add_energy("gpu-0", steady(200));
  office.add(use_channel(Scope::host, "", Measure::time, "gpu-0"), counting(steady(0.8)));
  office.add(use_channel(Scope::target, "a", Measure::time, "gpu-0"), counting(steady(0.8)));
  office.add(use_channel(Scope::target, "b", Measure::time, "gpu-0"), counting(steady(0.0)));
  for (const auto& [id, clock] : {std::pair(2, "host-asynchronous"), std::pair(3, "synchronised")}) {
    office.run.spans.push_back(
        span(static_cast<std::uint64_t>(id), SpanKind::request, clock, at_s(id), at_s(id + 1), 1));
    office.run.spans.back().attributes = {{"clock", clock}};
  }
  const Ledger ledger = office.attribute(10);
  std::size_t told = 0;
  for (const SpanEnergy& energy : ledger.spans) {
    const bool gpu = energy.channel == ledger.energy[1].channel;
    const bool hidden = gpu && energy.span.value == 2;
    EXPECT_EQ(energy.resolvable, !hidden);
    EXPECT_EQ(energy.gross.has_value(), !hidden);
    EXPECT_EQ(energy.charged.has_value(), !hidden);
    EXPECT_EQ(!energy.absent.empty(), hidden);
    if (gpu && !hidden) {
      EXPECT_NEAR(energy.charged->value, 200, 1);
    }
    ++told;
  }
  EXPECT_EQ(told, 4u);
  for (const ChannelLedger& row : ledger.energy)
    EXPECT_NEAR(sum_of_charges(ledger, row.channel), row.recorded.value, 1e-8);
}

}  // namespace
}  // namespace prony
