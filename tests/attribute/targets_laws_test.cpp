// The laws of several targets, on random Runs: any number of them, packages, policies, processes and faults of sensors.
#include <gtest/gtest.h>

#include <cstring>
#include <sstream>

#include "office.hpp"

namespace prony {
namespace {

using namespace rig;

constexpr double run_s = 4;

struct Town {
  Office office;
  std::vector<Power> rates;  // of each target
};

Power total_of(const std::vector<Power>& parts) {
  Power sum;
  sum.at.clear();
  for (const Power& part : parts) sum.at.insert(sum.at.end(), part.at.begin(), part.at.end());
  std::ranges::sort(sum.at);
  sum.at.erase(std::ranges::unique(sum.at).begin(), sum.at.end());
  sum.watts.clear();
  for (const std::int64_t t : sum.at) {
    double watts = 0;
    for (const Power& part : parts) watts += part(t);
    sum.watts.push_back(watts);
  }
  return sum;
}

Power scaled(Power power, double factor) {
  for (double& watts : power.watts) watts *= factor;
  return power;
}

// `split`: the last target is recorded as two halves of it, "left" with 0.3 and "right" with 0.7. `crowd`: a process
// of no target works, too.
Town random_town(std::uint64_t seed, bool split = false, bool crowd = false) {
  std::mt19937_64 random(seed);
  Town town;
  Office& office = town.office;
  const auto length = static_cast<std::int64_t>(run_s * 1e9);
  const std::size_t targets = 1 + seed % 5, packages = seed % 3;
  const Power watts = random_power(random, length);
  const ChannelId psys = office.add_energy("psys", watts);
  for (std::size_t package = 0; package < packages; ++package)
    office.add_energy("package-" + std::to_string(package), random_power(random, length, 1, 40), psys);
  office.add_energy("dram-0", random_power(random, length, 1, 4), psys);
  office.add_energy("gpu-0", random_power(random, length, 10, 200));
  std::vector<Power> everybody;
  std::vector<std::pair<std::uint32_t, Power>> processes;
  const auto record = [&](const std::string& name, const Power& rate) {
    office.add_cpu(Scope::target, name, rate);
    if (seed % 4 == 0) office.add(memory_gauge(Scope::target, "target." + name + ".rss", name), holding(1000));
    for (std::size_t package = 0; package < packages; ++package)
      office.add_cpu(Scope::target, name, scaled(rate, 1.0 / static_cast<double>(packages)),
                     "package-" + std::to_string(package));
    office.options.targets.push_back(name);
    for (const double part : {0.6, 0.3}) {  // a tenth is of short lives
      const auto number = static_cast<std::uint32_t>(processes.size() + 1);
      processes.emplace_back(number, scaled(rate, part));
      office.follow(number, name);
    }
  };
  for (std::size_t i = 0; i < targets; ++i) {
    const Power rate = random_power(random, length, 0, i % 2 == 0 ? 1 : 0.2);
    town.rates.push_back(rate);
    everybody.push_back(rate);
    const bool halves = split && i + 1 == targets;
    record(halves ? "left" : "t" + std::to_string(i), halves ? scaled(rate, 0.3) : rate);
    if (halves) record("right", scaled(rate, 0.7));
  }
  const Power foreign = random_power(random, length, 0, 0.5);
  processes.emplace_back(500, foreign);
  office.follow(500, "");
  everybody.push_back(foreign);
  if (crowd) everybody.push_back(steady(0.8));
  const Power busy = total_of(everybody);
  office.add_cpu(Scope::host, "", busy);
  for (std::size_t package = 0; package < packages; ++package)
    office.add_cpu(Scope::host, "", scaled(busy, 1.0 / static_cast<double>(packages)),
                   "package-" + std::to_string(package));
  if (seed % 4 == 0) office.add(memory_gauge(Scope::host, "memory.used"), holding(50'000));
  if (seed % 2 == 0) office.add_cpu(Scope::prony, "", steady(0.01));
  office.window(0.8, 3.2);
  if (seed % 3 != 0) office.baseline(0.1, 0.8);
  office.run.spans.push_back(span(2, SpanKind::request, "r", at_s(1), at_s(2.3), 1));
  office.run.spans.push_back(span(3, SpanKind::request, "s", at_s(1.7), at_s(3), 1));
  office.run.spans[1 + (seed % 3 != 0)].pid = 1001;
  if (seed % 6 != 5) office.looks = looks_at(processes, origin + 17 * millisecond, at_s(run_s), 100 * millisecond);
  office.options.idle_to = seed % 3 == 0 ? IdleTo::none : seed % 3 == 1 ? IdleTo::share : IdleTo::target;
  return town;
}

std::string parts_text(const Ledger& ledger) {
  std::ostringstream out;
  out << std::hexfloat;
  const auto put = [&](const std::optional<Estimate>& estimate) {
    if (estimate) out << estimate->value << ' ' << estimate->low << ' ' << estimate->high;
    out << '\n';
  };
  for (const ChannelLedger& row : ledger.energy) {
    put(row.target), put(row.foreign), put(row.prony), put(row.idle), put(row.unattributed);
    out << row.method << '\n';
    for (const TargetEnergy& target : row.targets)
      put(target.charged), put(target.active), put(target.unfollowed), out << target.share.value_or(9) << target.target;
    for (const ProcessEnergy& process : row.processes)
      out << process.process << ' ' << process.cpu_s, put(process.charged);
    put(row.foreign_unfollowed);
  }
  for (const SpanEnergy& energy : ledger.spans) put(energy.charged);
  for (const Charge& charge : ledger.charges) out << charge.method << charge.target, put(charge.joules);
  return out.str();
}

// Kills: a target, a process or the idle part forgotten or counted twice, under any policy, with any number of
// packages.
TEST(TargetLaws, EverythingAddsUpToWhatWasRecorded) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Town town = random_town(seed);
    const Ledger ledger = town.office.attribute(run_s);
    for (const ChannelLedger& row : ledger.energy) {
      const double recorded = row.recorded.value;
      EXPECT_NEAR(parties_of(row), recorded, 1e-9 * recorded) << "seed " << seed;
      EXPECT_NEAR(sum_of_charges(ledger, row.channel), recorded, 1e-9 * recorded) << "seed " << seed;
      if (!row.target) continue;
      double targets = 0, parts = row.foreign_unfollowed ? row.foreign_unfollowed->value : 0;
      for (const TargetEnergy& target : row.targets) {
        targets += target.charged->value;
        EXPECT_LE(target.charged->low, target.charged->value);
        EXPECT_GE(target.charged->high, target.charged->value);
        if (target.unfollowed) parts += target.unfollowed->value;
      }
      EXPECT_NEAR(targets, row.target->value, 1e-9 * recorded) << "seed " << seed;
      for (const ProcessEnergy& process : row.processes) parts += process.charged.value;
      EXPECT_EQ(row.processes.empty(), seed % 6 == 5 || !reason_of(row.absent, "processes").empty()) << "seed " << seed;
      if (!row.processes.empty()) {
        EXPECT_NEAR(parts, row.target->value + row.foreign->value, 1e-9 * recorded) << "seed " << seed;
      }
    }
  }
}

void add_modelled(Office& office, const Power& busy) {
  Channel modelled = energy_counter(10 * millisecond, "cpu-model.cpu.power");
  modelled.measure = Measure::power, modelled.origin = Origin::modelled, modelled.scale = 1e-9;
  modelled.max_rate = 0;
  modelled.model =
      PowerModel{"m", "s", 2, Watts(10), Watts(3), Watts(60), Watts(50), Watts(15), Watts(300), {}, {}, 1, 1};
  office.add(std::move(modelled), counting(busy));
}

// Everything that is charged to anybody, with who it is.
std::vector<std::pair<std::string, Estimate>> charges_of(const Ledger& ledger) {
  std::vector<std::pair<std::string, Estimate>> all;
  const auto put = [&](std::string who, const std::optional<Estimate>& estimate) {
    if (estimate) all.emplace_back(std::move(who), *estimate);
  };
  for (const ChannelLedger& row : ledger.energy) {
    put("targets", row.target), put("foreign", row.foreign), put("prony", row.prony);
    put("unattributed", row.unattributed), put("foreign's rest", row.foreign_unfollowed);
    for (const TargetEnergy& target : row.targets)
      put(target.target, target.charged), put(target.target + "'s rest", target.unfollowed);
    for (const ProcessEnergy& process : row.processes)
      put("process " + std::to_string(process.process), process.charged);
  }
  for (const SpanEnergy& energy : ledger.spans) put("span", energy.charged);
  for (const Charge& charge : ledger.charges) put("charge: " + charge.method.str(), charge.joules);
  return all;
}

// Kills: doubts of a share and of the whole that are added until they take more than there is (short windows, wide
// models); a rest whose low is the whole's low less all that was given away.
TEST(TargetLaws, OfWhatCanOnlyGrowNobodysPartIsLessThanNothing) {
  std::size_t seen = 0;
  for (std::uint64_t seed = 3; seed <= 60; seed += 3)  // those without a baseline
    for (const double length_s : {0.004, 0.02, 0.12, 0.4, 2.4}) {
      Town town = random_town(seed);
      town.office.run.spans[0].interval.end = Instant{at_s(0.8 + length_s)};
      add_modelled(town.office, total_of(town.rates));
      const Ledger ledger = town.office.attribute(run_s);
      for (const auto& [who, joules] : charges_of(ledger)) {
        EXPECT_GE(joules.low, -1e-9) << who << ", seed " << seed << ", " << length_s << " s";
        EXPECT_LE(joules.low, joules.value + 1e-9) << who << ", seed " << seed;
        EXPECT_GE(joules.high, joules.value - 1e-9) << who << ", seed " << seed;
        ++seen;
      }
    }
  EXPECT_GT(seen, 1000u);
}

// Kills: the doubt of a baseline shared by what each drew above it, so that whoever drew less has none: with a baseline
// that is off by a watt, everybody's truth must stay inside.
TEST(TargetLaws, ABaselineThatIsOffTakesNobodysTruthOutOfItsDoubt) {
  const auto ledger_of = [](double idle_w) {
    Office office;
    office.add_energy("package-0", Power{{origin, at_s(3)}, {idle_w, 20.2}});
    office.add_cpu(Scope::host, "", steady(1));
    office.add_cpu(Scope::target, "a", Power{{origin, at_s(3), at_s(5)}, {0, 0.9, 0.1}});
    office.add_cpu(Scope::target, "b", Power{{origin, at_s(3), at_s(5)}, {0, 0.1, 0.9}});
    office.options.targets = {"a", "b"};
    office.window(3, 7);
    return office;
  };
  Office office = ledger_of(20);
  office.options.known_idle = {{"test.package-0.energy", {20.25, 19.5, 21, EstimateKind::interval_95}}};
  const ChannelLedger told = office.attribute(8).energy[0];
  ASSERT_TRUE(told.targets[0].active);
  for (const std::size_t i : {0U, 1U}) {
    const Estimate& active = *told.targets[i].active;
    EXPECT_LT(active.value, 0) << "shown, not clipped";
    EXPECT_LT(active.low, active.value - 0.9) << "half of 4 s of the baseline's 0.75 W is its doubt, too";
    EXPECT_GT(active.high, 0.4) << "the truth: half of 4 s of 0.2 W";
    EXPECT_FALSE(told.targets[i].share) << "of less than nothing nobody has a share";
    EXPECT_NE(reason_of(told.targets[i].absent, "share"), "");
  }
  EXPECT_FALSE(told.target_share);
}

// Kills: requests without the doubt of the baseline, whose millijoules beside an idle power that is off by joules then
// look sure; and one that each of two at once has whole.
TEST(TargetLaws, ABaselineThatIsOffTakesNoRequestsTruthOutOfItsDoubt) {
  Office office;
  office.add_energy("package-0", Power{{origin, at_s(3)}, {20, 20.2}});
  office.add_cpu(Scope::host, "", steady(1));
  office.add_cpu(Scope::target, "a", Power{{origin, at_s(3)}, {0, 0.5}});
  office.options.targets = {"a"};
  office.options.requests_target = "a";
  office.options.known_idle = {{"test.package-0.energy", {20.25, 19.5, 21, EstimateKind::interval_95}}};
  office.window(3, 7);
  office.run.spans.push_back(span(10, SpanKind::request, "one", at_s(3), at_s(6)));
  office.run.spans.push_back(span(11, SpanKind::request, "two", at_s(4), at_s(7)));
  std::size_t seen = 0;
  for (const SpanEnergy& one : office.attribute(8).spans) {
    if (one.span.value != 10 && one.span.value != 11) continue;
    ASSERT_TRUE(one.charged);
    ++seen;
    EXPECT_NEAR(one.charged->value, -0.05, 0.01) << "2 s of its own, half of 0.05 W too little";
    EXPECT_LT(one.charged->low, one.charged->value - 0.7) << "half of 2 s of the baseline's 0.75 W is its doubt";
    EXPECT_GT(one.charged->low, one.charged->value - 1.1);
    EXPECT_GT(one.charged->high, 0.2) << "the truth: half of 2 s of 0.2 W";
    EXPECT_LT(one.charged->high, 1.1);
  }
  EXPECT_EQ(seen, 2U);
}

// Kills: a policy that touches what is above idle, or that makes joules.
TEST(TargetLaws, APolicyMovesEnergyOnlyOutOfTheIdleBucket) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Town town = random_town(seed);
    if (seed % 3 == 0) continue;  // no baseline
    town.office.options.idle_to = IdleTo::none;
    const Ledger none = town.office.attribute(run_s);
    for (const IdleTo policy : {IdleTo::share, IdleTo::target}) {
      town.office.options.idle_to = policy;
      const Ledger other = town.office.attribute(run_s);
      for (std::size_t i = 0; i < none.energy.size(); ++i) {
        const ChannelLedger& a = none.energy[i];
        const ChannelLedger& b = other.energy[i];
        EXPECT_EQ(a.unattributed.value, b.unattributed.value);
        if (!a.target || !a.idle) continue;
        const auto moved = [](const std::optional<Estimate>& from, const std::optional<Estimate>& to) {
          return (to ? to->value : 0) - (from ? from->value : 0);
        };
        const double given = moved(a.target, b.target) + moved(a.foreign, b.foreign) + moved(a.prony, b.prony);
        EXPECT_NEAR(given, -moved(a.idle, b.idle), 1e-9 * a.recorded.value) << "seed " << seed;
        EXPECT_GT(given, 0.1) << "seed " << seed;
        if (policy == IdleTo::target) {
          EXPECT_EQ(a.foreign->value, b.foreign->value);
        }
        for (std::size_t t = 0; t < a.targets.size(); ++t) {
          if (a.targets[t].active) {
            EXPECT_EQ(a.targets[t].active->value, b.targets[t].active->value);
          }
          EXPECT_GE(moved(a.targets[t].charged, b.targets[t].charged), 0);
        }
      }
    }
  }
}

// Kills: a target whose seconds depend on who else is there.
TEST(TargetLaws, AProcessOfNoTargetNeverChangesATargetsCpuSeconds) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Ledger alone = random_town(seed).office.attribute(run_s);
    const Ledger crowded = random_town(seed, false, true).office.attribute(run_s);
    ASSERT_TRUE(alone.cpu && crowded.cpu);
    for (std::size_t i = 0; i < alone.cpu->targets.size(); ++i)
      EXPECT_EQ(*alone.cpu->targets[i].cpu_s, *crowded.cpu->targets[i].cpu_s) << "seed " << seed;
    EXPECT_NEAR(crowded.cpu->foreign_s - alone.cpu->foreign_s, 0.8 * 2.4, 0.02) << "seed " << seed;
    EXPECT_GT(*crowded.cpu->foreign_share, *alone.cpu->foreign_share);
  }
}

// Kills: shares that depend on how finely the targets are told apart.
TEST(TargetLaws, ATargetThatIsSplitInTwoIsChargedTheSameInAll) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    if (seed % 4 == 0) continue;  // halves hold no half of the memory here
    const Ledger whole = random_town(seed).office.attribute(run_s);
    const Ledger halves = random_town(seed, true).office.attribute(run_s);
    for (std::size_t i = 0; i < whole.energy.size(); ++i) {
      if (!whole.energy[i].target) continue;
      const auto& one = whole.energy[i].targets.back();
      const auto& two = halves.energy[i].targets;
      const double sum = two[two.size() - 2].charged->value + two.back().charged->value;
      EXPECT_NEAR(sum, one.charged->value, 1e-6 * whole.energy[i].recorded.value) << "seed " << seed;
      EXPECT_NEAR(halves.energy[i].foreign->value, whole.energy[i].foreign->value,
                  1e-6 * whole.energy[i].recorded.value);
    }
  }
}

// Kills: a share that depends on a target's place in the list.
TEST(TargetLaws, EqualBurnersAreChargedTheSame) {
  std::mt19937_64 random(3);
  Office office;
  office.add_energy("package-0", random_power(random, 4 * second));
  const Power burner = random_power(random, 4 * second, 0, 0.3);
  for (const char* name : {"a", "b", "c"}) office.add_cpu(Scope::target, name, burner);
  office.add_cpu(Scope::host, "", total_of({burner, burner, burner, steady(0.2)}));
  office.window(0.5, 3.5);
  for (const IdleTo policy : {IdleTo::none, IdleTo::share, IdleTo::target}) {
    office.options.idle_to = policy;
    const ChannelLedger row = office.attribute(run_s).energy[0];
    EXPECT_EQ(row.targets[0].charged->value, row.targets[1].charged->value);
    EXPECT_EQ(row.targets[0].charged->value, row.targets[2].charged->value);
  }
}

// Kills: state that depends on blocks, on when looks come beside them, or on an earlier finish().
TEST(TargetLaws, ReplayAndEveryPrefixGiveTheSameBytes) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    Town town = random_town(seed);
    Office& office = town.office;
    const std::string once = parts_text(office.attribute(run_s));
    EXPECT_EQ(once, parts_text(office.attribute(run_s, 1)));
    const auto blocks = in_blocks(GroupId{1}, poll(office.sources, origin, at_s(run_s), 10 * millisecond), 40);
    Attribution live(office.run.channels, office.run.groups, office.run.spans, office.options);
    live.know(office.processes);
    std::size_t looks = 0;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      live.push(blocks[i]);
      const std::int64_t until = blocks[i].end(blocks[i].ticks() - 1).ns;
      for (; looks < office.looks.size() && office.looks[looks].between.end.ns <= until; ++looks)
        live.push(office.looks[looks]);
      if (i % 4 != 3) continue;
      Attribution replay(office.run.channels, office.run.groups, office.run.spans, office.options);
      for (std::size_t l = 0; l < looks; ++l) replay.push(office.looks[l]);
      for (std::size_t b = 0; b <= i; ++b) replay.push(blocks[b]);
      replay.know(office.processes);
      EXPECT_EQ(parts_text(live.finish()), parts_text(replay.finish())) << "seed " << seed << ", block " << i;
    }
    for (; looks < office.looks.size(); ++looks) live.push(office.looks[looks]);
    EXPECT_EQ(once, parts_text(live.finish())) << "seed " << seed;
  }
}

}  // namespace
}  // namespace prony
