// Single processes: what of its target's charge each one gets, and what looks at them cost.
#include <gtest/gtest.h>

#include "attribute/process_fold.hpp"
#include "office.hpp"

namespace prony {
namespace {

using namespace rig;

Power power_between(double from_s, double to_s, double rate) {
  return {{origin, at_s(from_s), at_s(to_s)}, {0, rate, 0}};
}

Power plus(const Power& a, const Power& b) {
  Power sum;
  sum.at = a.at;
  sum.at.insert(sum.at.end(), b.at.begin(), b.at.end());
  std::ranges::sort(sum.at);
  sum.watts.clear();
  for (const std::int64_t t : sum.at) sum.watts.push_back(a(t) + b(t));
  return sum;
}

const ProcessEnergy* energy_of(const ChannelLedger& row, std::uint32_t number) {
  for (const ProcessEnergy& process : row.processes)
    if (process.process == number) return &process;
  return nullptr;
}

// a: process 1 while the machine draws 20 W, then process 2 at 60 W; 3 is nobody's; 4 is Prony.
Office followed(std::int64_t look_every, std::int64_t look_phase) {
  Office office;
  office.add_energy("package-0", Power{{origin, at_s(5)}, {20, 60}});
  const Power one = power_between(1, 5, 0.6), two = power_between(5, 9, 0.6), other = steady(0.3), own = steady(0.1);
  office.add_cpu(Scope::host, "", steady(1));
  office.add_cpu(Scope::target, "a", plus(one, two));
  office.add_cpu(Scope::prony, "", own);
  office.window(1, 9);
  office.looks = looks_at({{1, one}, {2, two}, {3, other}, {4, own}}, origin + look_phase, at_s(10), look_every);
  office.follow(1, "a");
  office.follow(2, "a");
  office.follow(3, "");
  office.follow(4, "", 77);
  office.options.own_pid = 77;
  return office;
}

// Kills: energy per process from the mean power of the whole Run; looks that must meet the cells; Prony counted twice.
TEST(Processes, EachGetsItsPartOfWhatItsTargetWasChargedWhileItRan) {
  for (const std::int64_t phase_ns : {std::int64_t{0}, 37 * millisecond, 91 * millisecond}) {
    Office office = followed(100 * millisecond, phase_ns);
    const Ledger ledger = office.attribute(10);
    const ChannelLedger& row = ledger.energy[0];
    ASSERT_EQ(row.processes.size(), 3u);
    EXPECT_EQ(row.processes[0].process, 2u) << "largest first";
    EXPECT_NEAR(energy_of(row, 1)->charged.value, 4 * 0.6 * 20, 1.2);
    EXPECT_NEAR(energy_of(row, 2)->charged.value, 4 * 0.6 * 60, 1.5);
    EXPECT_NEAR(energy_of(row, 3)->charged.value, 0.3 * (4 * 20 + 4 * 60), 1.5);
    EXPECT_NEAR(energy_of(row, 1)->cpu_s, 2.4, 0.06);
    // Where a process begins or ends inside a look, at the window's edges: at most 0.24 of 100 ms of 0.6 CPUs here.
    EXPECT_NEAR(row.targets[0].unfollowed->value, 0, 0.0144 * (20 + 60));
    EXPECT_NEAR(energy_of(row, 1)->charged.value + energy_of(row, 2)->charged.value + row.targets[0].unfollowed->value,
                row.targets[0].charged->value, 1e-9);
    EXPECT_NEAR(energy_of(row, 3)->charged.value + row.foreign_unfollowed->value, row.foreign->value, 1e-9);
    EXPECT_LE(energy_of(row, 1)->charged.low, 48);
    EXPECT_GE(energy_of(row, 1)->charged.high, 48);
    EXPECT_EQ(ledger.process_cells.ns, 100 * millisecond);
  }
}

// Kills: a process above zero told without a doubt because its target is below zero in all.
TEST(Processes, OneAboveZeroInATargetBelowZeroHasTheDoubtOfTheIdlePower) {
  Office office;
  // Idle was 40 W in the mean, 38 W and 42 W by turns.
  office.add_energy("package-0",
                    Power{{origin, at_s(0.5), at_s(1), at_s(1.5), at_s(2), at_s(6)}, {38, 42, 38, 42, 44, 30}});
  const Power one = power_between(2, 6, 0.6), two = power_between(6, 10, 0.6);
  office.add_cpu(Scope::host, "", steady(0.7));
  office.add_cpu(Scope::target, "a", plus(one, two));
  office.baseline(0, 2);
  office.window(2, 10);
  office.looks = looks_at({{1, one}, {2, two}}, origin, at_s(11), 100 * millisecond);
  office.follow(1, "a");
  office.follow(2, "a");
  const ChannelLedger row = office.attribute(11).energy[0];
  const Estimate whole = *row.targets[0].charged;
  ASSERT_LT(whole.high, 0);
  ASSERT_GT(whole.high - whole.low, 0.1);
  const ProcessEnergy* above = energy_of(row, 1);
  ASSERT_TRUE(above);
  ASSERT_GT(above->charged.value, 0);
  const double half_w = (whole.high - whole.low) / 2, half = (above->charged.high - above->charged.low) / 2;
  EXPECT_GE(half, 0.4 * half_w) << "half of the time has about half of the doubt";
  EXPECT_LE(half, 0.8 * half_w);
  const double truth = 4 * (44.0 - 40.0) * 0.6 / 0.7;
  EXPECT_LE(above->charged.low, truth);
  EXPECT_GE(above->charged.high, truth);
}

// Kills: joules of a target told as if it were known when it used the CPU, though looks came seconds late.
TEST(Processes, LooksThatCameLateAreInTheDoubtOfTheirTargetsAndSaid) {
  for (const double every_s : {0.1, 2.0}) {
    Office office;
    office.add_energy("package-0", Power{{origin, at_s(3), at_s(5), at_s(7)}, {20, 80, 20, 80}});
    const Power used = plus(power_between(3, 5, 0.8), power_between(7, 8, 0.8));  // while power is dear, only
    office.add_cpu(Scope::host, "", steady(1));
    const std::int64_t every = static_cast<std::int64_t>(every_s * 1e9);
    office.add(use_channel(Scope::target, "a"), [used, every](std::int64_t t) {
      return Reading{static_cast<std::int64_t>(used.energy(origin + (t - origin) / every * every) * 1e9), Quality::ok};
    });
    office.window(0, 10);
    office.looks = looks_at({{1, used}}, origin, at_s(10), every);
    office.follow(1, "a");
    const Ledger ledger = office.attribute(11);
    const Estimate charged = *ledger.energy[0].targets[0].charged;
    const double truth = 0.8 * 80 * 3;
    EXPECT_LE(charged.low, truth) << every_s;
    EXPECT_GE(charged.high, truth) << every_s;
    if (every_s < 1) {
      EXPECT_LT(charged.high - charged.low, 0.1 * truth);
      EXPECT_EQ(ledger.cpu_split.find("apart"), std::string::npos) << ledger.cpu_split;
    } else {
      EXPECT_GT(charged.high - charged.low, 0.2 * truth);
      EXPECT_NE(ledger.cpu_split.find("; looks came up to 2.0 s apart"), std::string::npos) << ledger.cpu_split;
    }
  }
}

// Kills: what ended unseen given to those who happened to be seen.
TEST(Processes, ShortLivesThatNobodySawStayInTheRest) {
  Office office = followed(100 * millisecond, 0);
  std::erase_if(office.looks, [](const ProcessLook& look) { return look.between.begin.ns >= at_s(5); });
  for (ProcessLook look : looks_at({{3, steady(0.3)}}, at_s(5), at_s(10), 100 * millisecond))
    office.looks.push_back(std::move(look));
  const ChannelLedger row = office.attribute(10).energy[0];
  EXPECT_EQ(energy_of(row, 2), nullptr);
  EXPECT_NEAR(row.targets[0].unfollowed->value, 144, 1);
  EXPECT_NEAR(energy_of(row, 1)->charged.value, 48, 1);
}

// Kills: rows beyond the limit forgotten instead of left to the rest.
TEST(Processes, BeyondTheRowsThatWereAskedForTheRestHasThem) {
  Office office = followed(100 * millisecond, 0);
  office.options.most_process_rows = 1;
  const ChannelLedger row = office.attribute(10).energy[0];
  ASSERT_EQ(row.processes.size(), 1u);
  double sum = row.targets[0].unfollowed->value + row.foreign_unfollowed->value;
  for (const ProcessEnergy& process : row.processes) sum += process.charged.value;
  EXPECT_NEAR(sum, row.target->value + row.foreign->value, 1e-9);
}

// Kills: memory's joules shared out among processes by their CPU time.
TEST(Processes, WhereTheirTargetIsSplitByMemoryTheyAreAbsentWithTheReason) {
  Office office = followed(100 * millisecond, 0);
  office.add_energy("dram-0", steady(8));
  office.add(memory_gauge(Scope::host, "memory.used"), holding(16'000));
  office.add(memory_gauge(Scope::target, "target.a.rss", "a"), holding(2'000));
  const ChannelLedger row = office.attribute(10).energy[1];
  EXPECT_TRUE(row.processes.empty());
  EXPECT_NE(reason_of(row.absent, "processes").find("by resident memory"), std::string::npos);
}

// Kills: looks that are kept; stretches that double and lose or double what was in them.
TEST(ProcessFold, HoursOfLooksAtThousandsStaySmallAndLoseNothing) {
  attribution::ProcessFold fold;
  fold.begin(100 * millisecond, std::nullopt, 20'000);
  std::mt19937_64 random(7);
  std::vector<double> truth(3000, 0.0);
  for (std::int64_t look = 0; look < 20'000; ++look) {
    const std::int64_t begin = origin + look * 100 * millisecond + 13 * millisecond;
    ProcessLook one{{Instant{begin}, Instant{begin + 100 * millisecond}}, {}, 0};
    for (std::uint32_t process = static_cast<std::uint32_t>(random() % 150); process < 3000; process += 150) {
      const auto cpu_ns = static_cast<std::int64_t>(1 + random() % 1'000'000);
      one.uses.push_back({process, cpu_ns, 0});
      truth[process] += static_cast<double>(cpu_ns) * 1e-9;
    }
    fold.push(one);
  }
  EXPECT_LE(fold.entries(), 26'000u);
  EXPECT_GT(fold.width_ns(), 100 * millisecond);
  std::vector<double> told(3000, 0.0);
  std::int64_t last = std::numeric_limits<std::int64_t>::min();
  fold.for_each_stretch([&](std::int64_t number, auto slots, auto cpu_s) {
    EXPECT_GT(number, last);
    last = number;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      EXPECT_TRUE(i == 0 || slots[i - 1] < slots[i]);
      told[fold.numbers()[slots[i]]] += cpu_s[i];
    }
  });
  for (std::size_t i = 0; i < truth.size(); ++i) EXPECT_NEAR(told[i], truth[i], 1e-9 * truth[i]) << i;
}

double told_by(const attribution::ProcessFold& fold) {
  double sum = 0;
  fold.for_each_stretch([&](std::int64_t, auto, auto cpu_s) {
    for (const double s : cpu_s) sum += s;
  });
  return sum;
}

// Kills: a crash, an endless loop or a negative second from a damaged file.
TEST(ProcessFold, LooksThatCannotBeDoNotHarmThoseThatCan) {
  attribution::ProcessFold fold;
  fold.begin(100 * millisecond, Interval{Instant{origin}, Instant{origin + 10 * second}});
  const auto look = [&](std::int64_t begin, std::int64_t end, std::int64_t cpu_ns) {
    fold.push(ProcessLook{{Instant{begin}, Instant{end}}, {{4'000'000'000U, cpu_ns, 0}}, 0});
  };
  look(std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max(), 5);
  look(origin, origin + second, 1'000'000'000);
  look(origin + second, origin + second, 500'000'000);             // a moment: all at once
  look(origin + 2 * second, origin + second, 1'000'000);           // ends before it begins: a moment, too
  look(origin + second, origin + 3 * second, -7);                  // runs backwards
  look(origin + 9 * second, origin + 11 * second, 2'000'000'000);  // half of it is outside the window
  EXPECT_NEAR(told_by(fold), 1 + 0.5 + 0.001 + 1, 1e-9);
  attribution::ProcessFold open;
  open.begin(100 * millisecond, std::nullopt);
  open.push(ProcessLook{{Instant{0}, Instant{std::int64_t{1} << 60}}, {{1, 1'000'000'000, 0}}, 0});
  EXPECT_NEAR(told_by(open), 1, 1e-9);
  EXPECT_LE(open.entries(), 5000u);
}

}  // namespace
}  // namespace prony
