// Who is charged: shares by CPU time, baselines, spans, headline.
#include <gtest/gtest.h>

#include "rig.hpp"

namespace prony {
namespace {

using namespace rig;

Channel cpu(std::string name, Scope scope, std::int64_t period = 0) {
  Channel channel;
  channel.name = std::move(name);
  channel.measure = Measure::cpu_time;
  channel.kind = ChannelKind::counter;
  channel.scope = scope;
  channel.scale = 1e-9;
  channel.update_period = Duration{period};
  return channel;
}

// Busy time as the kernel keeps it: whole ticks only.
Source busy_in_ticks(double cpus, std::int64_t tick) {
  return [=](std::int64_t t) {
    const auto exact = static_cast<std::int64_t>(cpus * static_cast<double>(t - origin));
    return Reading{exact / tick * tick, Quality::ok};
  };
}

struct SplitBench {
  Recording run;
  Group group{GroupId{1}, "fast", Duration{10 * millisecond}, {}};
  std::vector<Source> sources;
  void add(Channel channel, Source source) { run.add(group, sources, std::move(channel), std::move(source)); }
  AttributionOptions options;
  Ledger attribute(std::int64_t length) {
    run.groups = {group};
    Attribution attribution(run.channels, run.groups, run.spans, options);
    for (const auto& block : in_blocks(GroupId{1}, poll(sources, origin, origin + length, 10 * millisecond), 512))
      attribution.push(block);
    return attribution.finish();
  }
};

Source exact_cpu(double cpus) {
  return [=](std::int64_t t) {
    return Reading{static_cast<std::int64_t>(cpus * static_cast<double>(t - origin)), Quality::ok};
  };
}

// Kills: lag of the tick-stale busy time that adds to foreign in every cell and never leaves it again.
TEST(Split, StaleTicksOfTheMachineDoNotBiasTheSharesOverALongRun) {
  SplitBench setup;
  setup.add(energy_counter(millisecond), counter_of(Power{{origin}, {50}}, millisecond, 0));
  setup.add(cpu("cpu.busy", Scope::host, 4 * millisecond), busy_in_ticks(0.973, 40 * millisecond));
  setup.add(cpu("target.cpu", Scope::target), exact_cpu(0.973));
  setup.run.spans = {span(1, SpanKind::run, "run", origin + second, origin + 59 * second)};
  const Ledger ledger = setup.attribute(60 * second);
  ASSERT_TRUE(ledger.energy[0].target && ledger.energy[0].gross);
  EXPECT_NEAR(*ledger.energy[0].target_share, 1.0, 0.003);
  EXPECT_NEAR(ledger.energy[0].foreign->value / ledger.energy[0].gross->value, 0.0, 0.003);
}

// Kills: target's share of its own clock instead of the machine's; Prony's part left in foreign.
TEST(Split, EnergyIsSharedInProportionToCpuTime) {
  SplitBench setup;
  setup.add(energy_counter(millisecond), counter_of(Power{{origin}, {40}}, millisecond, 0));
  setup.add(cpu("cpu.busy", Scope::host, 4 * millisecond), exact_cpu(1.0));
  setup.add(cpu("target.cpu", Scope::target), exact_cpu(0.7));
  setup.add(cpu("prony.cpu", Scope::prony), exact_cpu(0.1));
  setup.run.spans = {span(1, SpanKind::run, "run", origin + second, origin + 9 * second)};
  const Ledger ledger = setup.attribute(10 * second);
  const ChannelLedger& row = ledger.energy[0];
  EXPECT_NEAR(row.target->value, 0.7 * 320, 0.5);
  EXPECT_NEAR(row.prony->value, 0.1 * 320, 0.1);
  EXPECT_NEAR(row.foreign->value, 0.2 * 320, 0.2);
  EXPECT_NEAR(row.unattributed.value, 80, 0.2);
  EXPECT_FALSE(row.idle);
  EXPECT_FALSE(row.active);
  EXPECT_NEAR(*row.mean_w, 40, 0.05);
  EXPECT_NEAR(*row.peak_w, 40, 0.5);
  EXPECT_EQ(ledger.cpu_split, "by CPU time, in windows of 100 ms");
}

// Kills: a tick that was interrupted between two readings taken for one instant: the busy time of seconds lies before
// it and the target's after it, where it seems that nobody else ran.
TEST(Split, ATickThatWasInterruptedForSecondsTurnsNobodysUseUpsideDown) {
  SplitBench setup;
  setup.add(energy_counter(millisecond), counter_of(Power{{origin}, {40}}, millisecond, 0));
  setup.add(cpu("target.cpu", Scope::target), exact_cpu(0.1));
  setup.add(cpu("cpu.busy", Scope::host, 4 * millisecond), exact_cpu(2.0));
  setup.run.spans = {span(1, SpanKind::run, "run", origin + second, origin + 29 * second)};
  setup.run.groups = {setup.group};
  std::vector<Tick> ticks;
  for (std::int64_t t = origin; t <= origin + 30 * second; t += 10 * millisecond) {
    const bool interrupted = (t - origin) % (4 * second) == 2 * second;
    const std::int64_t end = interrupted ? t + 1900 * millisecond : t + 100'000;
    ticks.push_back({t, end, {setup.sources[0](t), setup.sources[1](t), setup.sources[2](end)}});
    if (interrupted) t += 1900 * millisecond;
  }
  Attribution attribution(setup.run.channels, setup.run.groups, setup.run.spans, {});
  for (const auto& block : in_blocks(GroupId{1}, ticks, 512)) attribution.push(block);
  const Ledger ledger = attribution.finish();
  const ChannelLedger& row = ledger.energy[0];
  EXPECT_NEAR(row.gross->value, 28 * 40, 1);
  EXPECT_NEAR(row.target->value, 28 * 40 * 0.05, 0.6);
  EXPECT_NEAR(row.foreign->value, 28 * 40 * 0.95, 2);
}

// Kills: a sensor that always takes long, or a last tick that did, thrown away as interrupted.
TEST(Split, WhatAlwaysTakesLongAndALastTickThatDidCountAsTheyAre) {
  for (const bool always : {true, false}) {
    SplitBench setup;
    setup.add(energy_counter(second), counter_of(Power{{origin}, {40}}, millisecond, 0));
    setup.run.spans = {span(1, SpanKind::run, "run", origin, origin + 20 * second)};
    setup.run.groups = {setup.group};
    std::vector<Tick> ticks;
    for (std::int64_t t = origin; t <= origin + 20 * second; t += second) {
      const bool is_long = t > origin && (always || t == origin + 20 * second);
      ticks.push_back({t, t + (is_long ? 400 : 1) * millisecond, {setup.sources[0](t)}});
    }
    Attribution attribution(setup.run.channels, setup.run.groups, setup.run.spans, {});
    for (const auto& block : in_blocks(GroupId{1}, ticks, 512)) attribution.push(block);
    const ChannelLedger row = attribution.finish().energy[0];
    EXPECT_NEAR(row.recorded.value, 20 * 40, 1e-6) << always;
  }
}

// A burst of CPU time now and then; its end is told up to a look later, where nothing else runs.
struct Bursts {
  std::int64_t each = 30 * millisecond, every = 250 * millisecond, look = 100 * millisecond;
  std::int64_t first_look = 60 * millisecond;  // so that ends are told in the cell after
  [[nodiscard]] std::int64_t used(std::int64_t t) const {
    const std::int64_t since = t - origin;
    return since / every * each + std::min(since % every, each);
  }
  [[nodiscard]] std::int64_t told(std::int64_t t) const {
    const std::int64_t looked = (t - origin + look - first_look) / look * look - look + first_look;
    return (looked < each ? 0 : (looked - each) / every + 1) * each;
  }
};

// Kills: short lives whose CPU time is told when they have ended, in a cell without energy, while what they drew is
// given to foreign.
TEST(Split, WhatIsToldLateIsChargedWhereItWasUsed) {
  const Bursts bursts;
  for (const double foreign_cpus : {0.0, 0.05, 0.5}) {
    SplitBench setup;
    const auto busy = [=](std::int64_t t) {
      return bursts.used(t) + static_cast<std::int64_t>(foreign_cpus * static_cast<double>(t - origin));
    };
    setup.add(energy_counter(millisecond), [=](std::int64_t t) {  // 20 W of each busy CPU
      return Reading{static_cast<std::int64_t>(20 * static_cast<double>(busy(t)) * 1e-3), Quality::ok};
    });
    setup.add(cpu("cpu.busy", Scope::host, 4 * millisecond),
              [=](std::int64_t t) { return Reading{busy(t), Quality::ok}; });
    setup.add(cpu("target.cpu", Scope::target), [=](std::int64_t t) { return Reading{bursts.told(t), Quality::ok}; });
    setup.run.spans = {span(1, SpanKind::run, "run", origin + second, origin + 19 * second)};
    const Ledger ledger = setup.attribute(20 * second);
    const ChannelLedger& row = ledger.energy[0];
    const double told_s = 1e-9 * static_cast<double>(bursts.told(origin + 19 * second) - bursts.told(origin + second));
    EXPECT_NEAR(row.target->value, 20 * told_s, 0.03 * 20 * told_s) << foreign_cpus;
    EXPECT_NEAR(row.foreign->value, 20 * 18 * foreign_cpus, 0.03 * 20 * told_s) << foreign_cpus;
  }
}

// Kills: idle taken from the wrong phase or as energy instead of power; negative active energy clipped to zero.
TEST(Split, ABaselineGivesIdleAndWhatIsLeftMayBeNegative) {
  for (const double watts : {30.0, 8.0}) {
    SplitBench setup;
    setup.add(energy_counter(millisecond),
              counter_of(Power{{origin, origin + 3 * second, origin + 7 * second}, {10, watts, 12}}, millisecond, 0));
    setup.add(cpu("cpu.busy", Scope::host, 4 * millisecond), exact_cpu(1.0));
    setup.add(cpu("target.cpu", Scope::target), exact_cpu(0.5));
    setup.run.spans = {
        span(1, SpanKind::run, "run", origin + 3 * second, origin + 7 * second),
        span(2, SpanKind::phase, std::string(phase::baseline_before), origin + second, origin + 3 * second),
        span(3, SpanKind::phase, std::string(phase::baseline_after), origin + 7 * second, origin + 9 * second)};
    const Ledger ledger = setup.attribute(10 * second);
    const ChannelLedger& row = ledger.energy[0];
    ASSERT_TRUE(row.idle && row.active && row.target_active);
    EXPECT_NEAR(row.idle->value, 44, 0.2);
    EXPECT_LE(row.idle->low, 40.1);
    EXPECT_GE(row.idle->high, 47.9);
    EXPECT_NEAR(row.active->value, 4 * watts - 44, 0.3);
    EXPECT_NEAR(row.target_active->value, 0.5 * (4 * watts - 44), 0.2);
    EXPECT_NEAR(sum_of_charges(ledger, row.channel), row.recorded.value, 1e-9 * row.recorded.value);
  }
}

// Kills: others' load during the baseline taken for idle without a word; Prony's or the target's own time taken for
// others'.
TEST(Baseline, SaysHowMuchOthersUsedWhileItWasMeasured) {
  for (const double others : {0.0, 0.5}) {
    SplitBench setup;
    setup.add(energy_counter(millisecond), counter_of(Power{{origin}, {30}}, millisecond, 0));
    setup.add(cpu("cpu.busy", Scope::host, 4 * millisecond), exact_cpu(others + 0.25));
    setup.add(cpu("target.cpu", Scope::target), exact_cpu(0.0));
    setup.add(cpu("prony.cpu", Scope::prony), exact_cpu(0.25));
    setup.run.spans = {
        span(1, SpanKind::run, "run", origin + 3 * second, origin + 7 * second),
        span(2, SpanKind::phase, std::string(phase::baseline_before), origin + second, origin + 3 * second)};
    const Ledger ledger = setup.attribute(10 * second);
    ASSERT_TRUE(ledger.idle_foreign_cpus);
    EXPECT_NEAR(*ledger.idle_foreign_cpus, others, 0.005);
    EXPECT_EQ(*ledger.idle_foreign_cpus > quiet_baseline_cpus, others > 0);
    ASSERT_TRUE(ledger.energy[0].marginal);
    EXPECT_NEAR(ledger.energy[0].marginal->value, 0, 0.2);
  }
}

// Kills: a kept baseline used in the place of a measured one; its doubt left out of idle and active.
TEST(Baseline, AKeptOneIsUsedOnlyWhereNoneWasMeasured) {
  for (const bool measured : {false, true}) {
    SplitBench setup;
    setup.add(energy_counter(millisecond), counter_of(Power{{origin}, {30}}, millisecond, 0));
    setup.add(cpu("cpu.busy", Scope::host, 4 * millisecond), exact_cpu(1.0));
    setup.add(cpu("target.cpu", Scope::target), exact_cpu(0.5));
    setup.run.spans = {span(1, SpanKind::run, "run", origin + 3 * second, origin + 7 * second)};
    if (measured)
      setup.run.spans.push_back(
          span(2, SpanKind::phase, std::string(phase::baseline_before), origin + second, origin + 3 * second));
    setup.options.known_idle = {{setup.run.channels[0].name, {10, 9, 12, EstimateKind::interval_95}}};
    const Ledger ledger = setup.attribute(10 * second);
    const ChannelLedger& row = ledger.energy[0];
    ASSERT_TRUE(row.idle_w && row.idle && row.active);
    EXPECT_NEAR(row.idle_w->value, measured ? 30 : 10, 0.2);
    EXPECT_NEAR(row.active->value, measured ? 0 : 80, 0.5);
    if (!measured) {
      EXPECT_NEAR(row.active->low, row.gross->low - 12 * 4, 1e-9);
      EXPECT_NEAR(row.active->high, row.gross->high - 9 * 4, 1e-9);
    }
    EXPECT_NEAR(sum_of_charges(ledger, row.channel), row.recorded.value, 1e-9 * row.recorded.value);
  }
}

// Kills: loaded idle mixed into idle, or taken over the whole window.
TEST(Baseline, LoadedIdleIsOneOfItsOwn) {
  SplitBench setup;
  setup.add(energy_counter(millisecond),
            counter_of(Power{{origin, origin + 3 * second, origin + 5 * second}, {10, 14, 40}}, millisecond, 0));
  setup.add(cpu("cpu.busy", Scope::host, 4 * millisecond), exact_cpu(1.0));
  setup.add(cpu("target.cpu", Scope::target), exact_cpu(0.5));
  setup.run.spans = {
      span(1, SpanKind::run, "run", origin + 3 * second, origin + 9 * second),
      span(2, SpanKind::phase, std::string(phase::baseline_before), origin + second, origin + 3 * second),
      span(3, SpanKind::phase, std::string(phase::baseline_loaded), origin + 3 * second, origin + 5 * second, 1)};
  const Ledger ledger = setup.attribute(10 * second);
  ASSERT_TRUE(ledger.energy[0].idle_w && ledger.energy[0].loaded_idle_w);
  EXPECT_NEAR(ledger.energy[0].idle_w->value, 10, 0.1);
  EXPECT_NEAR(ledger.energy[0].loaded_idle_w->value, 14, 0.1);
}

// Kills: overlapping requests that each get the whole; prefill and decode that do not add up to their request.
TEST(Split, OverlappingRequestsShareAndTheirPartsAddUp) {
  SplitBench setup;
  setup.add(energy_counter(millisecond), counter_of(Power{{origin}, {40}}, millisecond, 0));
  setup.add(cpu("cpu.busy", Scope::host, 4 * millisecond), exact_cpu(1.0));
  setup.add(cpu("target.cpu", Scope::target), exact_cpu(1.0));
  const auto at = [](double s) { return origin + static_cast<std::int64_t>(s * 1e9); };
  setup.run.spans = {
      span(1, SpanKind::run, "run", at(1), at(9)),      span(2, SpanKind::request, "a", at(2), at(6), 1),
      span(3, SpanKind::prefill, "", at(2), at(3), 2),  span(4, SpanKind::decode, "", at(3), at(6), 2),
      span(5, SpanKind::request, "b", at(4), at(8), 1), span(6, SpanKind::phase, "load", at(1), at(2), 1)};
  const Ledger ledger = setup.attribute(10 * second);
  const auto charged = [&](std::uint64_t id) { return span_energy(ledger, id)->charged->value; };
  EXPECT_NEAR(charged(2), 40 * 2 + 20 * 2, 0.2);
  EXPECT_NEAR(charged(5), 20 * 2 + 40 * 2, 0.2);
  EXPECT_NEAR(charged(3), 40, 0.1);
  EXPECT_NEAR(charged(3) + charged(4), charged(2), 1e-9);
  EXPECT_NEAR(charged(6), 40, 0.1);
  EXPECT_NEAR(span_energy(ledger, 2)->gross->value, 160, 0.2);
}

// Kills: a part added to its whole; modelled added to measured; doubtful coverage added up; a dead psys hiding
// packages.
TEST(Headline, OnlyMeasuredTopLevelDomainsThatDoNotOverlapAreAdded) {
  const auto headline = [](bool dead_psys, bool with_rapl, bool with_hwmon) {
    SplitBench setup;
    const Source source = counter_of(Power{{origin}, {40}}, millisecond, 0);
    Channel psys = energy_counter(millisecond, "psys"), package = energy_counter(millisecond, "package"),
            core = package;
    if (with_rapl) {
      setup.add(psys, dead_psys ? [](std::int64_t) { return Reading{7, Quality::ok}; }
                                : counter_of(Power{{origin}, {60}}, millisecond, 0));
      package.part_of = setup.run.channels.back().id;
      setup.add(package, source);
      core.part_of = setup.run.channels.back().id;
      setup.add(core, source);
    }
    if (with_hwmon)
      for (const std::int64_t watts : {5, 9}) {
        Channel hwmon = energy_counter(0, "hwmon");
        hwmon.measure = Measure::power, hwmon.kind = ChannelKind::gauge, hwmon.scale = 1, hwmon.coverage_known = false;
        setup.add(hwmon, [watts](std::int64_t) { return Reading{watts, Quality::ok}; });
      }
    Channel modelled = energy_counter(10 * millisecond, "cpu-model.cpu.power");
    modelled.measure = Measure::power, modelled.origin = Origin::modelled, modelled.scale = 1e-9;
    modelled.model = PowerModel{"m", "s", 2, Watts(10), Watts(5), Watts(20), Watts(50), Watts(30), Watts(90)};
    setup.add(modelled, exact_cpu(1.0));
    setup.run.spans = {span(1, SpanKind::run, "run", origin + second, origin + 9 * second)};
    return setup.attribute(10 * second);
  };
  EXPECT_NEAR(headline(false, true, true).headline_j->value, 480, 1);
  EXPECT_NEAR(headline(true, true, true).headline_j->value, 320, 1);
  EXPECT_NEAR(headline(false, false, true).headline_j->value, 72, 0.1);
  const Ledger stand_in = headline(false, false, false);
  EXPECT_TRUE(stand_in.headline_modelled);
  EXPECT_NEAR(stand_in.headline_j->value, 8 * 30, 0.5);  // 10 + 40 · ½
  EXPECT_NEAR(stand_in.headline_j->low, 8 * 17.5, 1);
  EXPECT_NEAR(stand_in.headline_j->high, 8 * 55, 1);
  EXPECT_EQ(stand_in.headline_j->kind, EstimateKind::range);
}

// Kills: a calibrated model labelled as one without a promise, or counted as if a sensor had measured it; low and high
// that cross where the line's doubt grows with the load.
TEST(Headline, AModelThatWasHeldToAMeterIsDerivedWithAnIntervalAndStillAStandIn) {
  const auto ledger_of = [](bool with_rapl, Watts full_low) {
    SplitBench setup;
    Channel package = energy_counter(millisecond, "package");
    if (with_rapl) setup.add(package, counter_of(Power{{origin}, {40}}, millisecond, 0));
    Channel held = energy_counter(10 * millisecond, "cpu-model.cpu.power");
    held.measure = Measure::power, held.origin = Origin::derived, held.scale = 1e-9;
    held.model = PowerModel{"m", "s", 2, Watts(10), Watts(9), Watts(11), Watts(50), full_low, Watts(53)};
    setup.add(held, exact_cpu(1.0));
    setup.run.spans = {span(1, SpanKind::run, "run", origin + second, origin + 9 * second)};
    return setup.attribute(10 * second);
  };
  const Ledger alone = ledger_of(false, Watts(47));
  EXPECT_FALSE(alone.headline_modelled);
  EXPECT_NEAR(alone.headline_j->value, 8 * 30, 0.5);
  EXPECT_NEAR(alone.headline_j->low, 8 * 28, 1);
  EXPECT_NEAR(alone.headline_j->high, 8 * 32, 1);
  EXPECT_EQ(alone.headline_j->kind, EstimateKind::interval_95);
  EXPECT_NEAR(ledger_of(true, Watts(47)).headline_j->value, 320, 1);
  const Ledger falling = ledger_of(false, Watts(5));
  EXPECT_LE(falling.headline_j->low, 8 * 7.0);
}

// Kills: a battery on mains power, at 0 W or below, taken for all that the machine draws.
TEST(Headline, ABatteryThatRestedOrChargedIsNotWhatTheMachineDrew) {
  const auto headline = [](std::int64_t first_w, std::int64_t then_w) {
    SplitBench setup;
    Channel battery = energy_counter(0, "battery");
    battery.measure = Measure::power, battery.kind = ChannelKind::gauge, battery.scale = 1;
    battery.coverage_known = false;
    setup.add(battery,
              [=](std::int64_t t) { return Reading{t < origin + 5 * second ? first_w : then_w, Quality::ok}; });
    setup.run.spans = {span(1, SpanKind::run, "run", origin + second, origin + 9 * second)};
    return setup.attribute(10 * second).headline_j;
  };
  ASSERT_TRUE(headline(12, 12));
  EXPECT_NEAR(headline(12, 12)->value, 96, 0.1);
  EXPECT_FALSE(headline(0, 0));
  EXPECT_FALSE(headline(12, 0));
  EXPECT_FALSE(headline(12, -20));
}

// Kills: a package added to the wall that it draws from; a short Run, or requests, without any joule because the plug
// renews its watts once a second.
TEST(Headline, TheWallIsAllOfItWhereItCanTellAndStepsBackWhereItIsTooCoarse) {
  const auto ledger_of = [](std::int64_t end, bool with_package, std::int64_t request) {
    SplitBench setup;
    Channel wall = energy_counter(second, "plug.wall.power");
    wall.domain = "wall", wall.measure = Measure::power, wall.kind = ChannelKind::gauge, wall.scale = 1;
    setup.add(wall, [](std::int64_t) { return Reading{100, Quality::ok}; });
    Channel package = energy_counter(millisecond, "package");
    package.part_of = setup.run.channels.back().id;
    if (with_package) setup.add(package, counter_of(Power{{origin}, {40}}, millisecond, 0));
    setup.run.spans = {span(1, SpanKind::run, "run", origin + second, end)};
    if (request > 0)
      setup.run.spans.push_back(span(2, SpanKind::request, "r", origin + second, origin + second + request));
    return setup.attribute(60 * second);
  };
  EXPECT_NEAR(ledger_of(origin + 51 * second, true, 0).headline_j->value, 5000, 1);            // never 7000
  EXPECT_NEAR(ledger_of(origin + 51 * second, true, 50 * second).headline_j->value, 5000, 1);  // a request that it sees
  EXPECT_NEAR(ledger_of(origin + 51 * second, true, second).headline_j->value, 2000, 1);       // one that it does not
  EXPECT_NEAR(ledger_of(origin + 2 * second, true, 0).headline_j->value, 40, 0.1);
  const Ledger alone = ledger_of(origin + 2 * second, false, 0);
  EXPECT_TRUE(alone.energy.at(0).headline);  // nothing else is there: it says itself what it lacks
  EXPECT_FALSE(alone.headline_j);
}

}  // namespace
}  // namespace prony
