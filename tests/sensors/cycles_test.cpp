// CPU cycles and cache misses on machines whose counters a test sets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "machine/simulated.hpp"
#include "seen.hpp"
#include "sensors/rows.hpp"

namespace prony {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// CPU n counts (n + 1) · 1000 cycles and (n + 1) misses for each second that goes by.
struct Counting : SimulatedMachine {
  void cpu(int number, int package, bool misses = true, PerfEvent cycles = perf_cycles,
           PerfEvent cache_misses = perf_cache_misses) {
    set_file("/sys/devices/system/cpu/cpu" + std::to_string(number) + "/topology/physical_package_id",
             std::to_string(package) + "\n");
    const auto each = static_cast<std::uint64_t>(number) + 1;
    set_perf(cycles, number, [=](Instant at) { return 5 + 1000 * each * seconds(at); });
    if (misses) set_perf(cache_misses, number, [=](Instant at) { return 5 + each * seconds(at); });
  }
  void online(const std::string& list) { set_file("/sys/devices/system/cpu/online", list + "\n"); }
  static std::uint64_t seconds(Instant at) { return static_cast<std::uint64_t>(at.ns / 1'000'000'000); }
};

struct FourCpus : Counting {
  FourCpus() {
    online("0-3");
    set_file("/sys/devices/system/cpu/possible", "0-3\n");
    for (int number = 0; number < 4; ++number) cpu(number, number / 2);
  }
};

TEST(Cycles, TheMachineAndEachPackageAreSumsOverTheirCpus) {
  FourCpus machine;
  auto probe = make_cycles(machine, {});
  ASSERT_TRUE(probe.sensor);
  machine.set_now(when_counted);
  EXPECT_THAT(seen(probe), ElementsAre("cycles.cpu=20000", "cycles.package-0=6000", "cycles.package-1=14000",
                                       "cycles.llc-misses.cpu=20", "cycles.llc-misses.package-0=6",
                                       "cycles.llc-misses.package-1=14"));
  const auto* package = channel_named(probe, "cycles.package-1");
  EXPECT_EQ(package->domain, "cycles-package-1");
  EXPECT_EQ(package->measure, Measure::count);
  EXPECT_EQ(package->kind, ChannelKind::counter);
  EXPECT_EQ(package->scope, Scope::host);
  EXPECT_EQ(channel_named(probe, "cycles.cpu")->domain, "cycles");
  EXPECT_EQ(channel_named(probe, "cycles.llc-misses.cpu")->domain, "llc-misses");
}

TEST(Cycles, OnePackageHasNoChannelOfItsOwn) {
  Counting machine;
  machine.online("0-1");
  machine.cpu(0, 0);
  machine.cpu(1, 0);
  auto probe = make_cycles(machine, {});
  machine.set_now(when_counted);
  EXPECT_THAT(seen(probe), ElementsAre("cycles.cpu=6000", "cycles.llc-misses.cpu=6"));
}

TEST(Cycles, PronysOwnAreCountedByEventsOfItsThreads) {
  FourCpus machine;
  machine.set_process_perf(perf_cycles, 0, [](Instant at) { return 7 + 30 * FourCpus::seconds(at); });
  auto probe = make_cycles(machine, {});
  machine.set_now(when_counted);
  const auto rows = seen(probe);
  EXPECT_EQ(rows.back(), "prony.cycles=60");
  const auto* own = channel_named(probe, "prony.cycles");
  EXPECT_EQ(own->scope, Scope::prony);
  EXPECT_EQ(own->domain, "cycles");
  ASSERT_EQ(probe.unavailable.size(), 1u);  // its misses
  EXPECT_EQ(probe.unavailable[0].subject, "prony.llc-misses");
}

TEST(Cycles, WithoutCountersItSaysThatThereIsNoPmu) {
  Counting machine;
  machine.online("0-1");
  const auto probe = make_cycles(machine, {});
  EXPECT_FALSE(probe.sensor);
  ASSERT_EQ(probe.unavailable.size(), 1u);
  EXPECT_THAT(probe.unavailable[0].reason, HasSubstr("no hardware PMU"));
}

TEST(Cycles, WhoMayNotCountIsToldSo) {
  FourCpus machine;
  machine.set_perf_fault(EACCES);
  const auto probe = make_cycles(machine, {});
  EXPECT_FALSE(probe.sensor);
  ASSERT_EQ(probe.unavailable.size(), 1u);
  EXPECT_THAT(probe.unavailable[0].reason, ::testing::Not(HasSubstr("PMU")));
}

TEST(Cycles, AProcessorThatCountsNoMissesStillCountsCycles) {
  Counting machine;
  machine.online("0");
  machine.cpu(0, 0, false);
  auto probe = make_cycles(machine, {});
  machine.set_now(when_counted);
  EXPECT_THAT(seen(probe), ElementsAre("cycles.cpu=2000"));
  ASSERT_FALSE(probe.unavailable.empty());
  EXPECT_EQ(probe.unavailable[0].subject, "cycles.llc-misses.cpu");
}

// Bug: a sum over the CPUs that could be read passes for the sum of all.
TEST(Cycles, WhileOneCpusCountersAreSharedTheSumsItBelongsToAreGaps) {
  FourCpus machine;
  auto probe = make_cycles(machine, {});
  machine.set_now(when_counted);
  machine.set_perf_read_fault(3, EBUSY);
  EXPECT_THAT(seen(probe), ElementsAre("cycles.cpu=gap", "cycles.package-0=6000", "cycles.package-1=gap",
                                       "cycles.llc-misses.cpu=gap", "cycles.llc-misses.package-0=6",
                                       "cycles.llc-misses.package-1=gap"));
  const auto complaints = probe.sensor->complaints();
  ASSERT_EQ(complaints.size(), 1u);
  EXPECT_THAT(complaints[0].reason, HasSubstr("too many perf events"));
  machine.set_perf_read_fault(3, 0);
  EXPECT_EQ(seen(probe)[0], "cycles.cpu=20000");
}

// Bugs: the sum falls when a CPU goes off; a CPU that comes back counts from 0, or never again.
TEST(Cycles, ACpuThatGoesOffKeepsItsCountsAndComesBackWithNewEvents) {
  FourCpus machine;
  auto probe = make_cycles(machine, {});
  machine.set_now(when_counted);
  EXPECT_EQ(seen(probe)[0], "cycles.cpu=20000");
  machine.online("0-2");
  machine.set_now(Instant{3'000'000'000});
  EXPECT_EQ(seen(probe)[0], "cycles.cpu=26000");  // CPU 3 stays at 8000
  (void)probe.sensor->changes();
  machine.set_now(Instant{5'000'000'000});
  EXPECT_EQ(seen(probe)[0], "cycles.cpu=38000");
  machine.online("0-3");
  EXPECT_EQ(seen(probe)[0], "cycles.cpu=gap") << "what it counts is not known before its events are open";
  (void)probe.sensor->changes();
  EXPECT_EQ(seen(probe)[0], "cycles.cpu=38000");
  machine.set_now(Instant{6'000'000'000});
  EXPECT_EQ(seen(probe)[0], "cycles.cpu=48000");
}

TEST(Cycles, EventsInAnErrorStateAreOpenedAnew) {
  FourCpus machine;
  auto probe = make_cycles(machine, {});
  machine.set_now(when_counted);
  EXPECT_EQ(seen(probe)[0], "cycles.cpu=20000");
  machine.set_perf_read_fault(1, ENODEV);
  EXPECT_EQ(seen(probe)[0], "cycles.cpu=gap");
  machine.set_perf_read_fault(1, 0);
  EXPECT_EQ(seen(probe)[0], "cycles.cpu=gap");
  (void)probe.sensor->changes();
  EXPECT_EQ(seen(probe)[0], "cycles.cpu=20000");
}

TEST(Cycles, ACpuThatWasOffAtTheStartIsCountedFromWhenItComes) {
  FourCpus machine;
  machine.online("0-2");
  auto probe = make_cycles(machine, {});
  machine.set_now(when_counted);
  EXPECT_EQ(seen(probe)[0], "cycles.cpu=12000");
  machine.online("0-3");
  (void)seen(probe);
  (void)probe.sensor->changes();
  machine.set_now(Instant{3'000'000'000});
  EXPECT_THAT(seen(probe), ::testing::IsSupersetOf({"cycles.cpu=22000", "cycles.package-1=13000"}));
}

// Bug: the plain numbers count on the first kind of cores only; the others give ENOENT.
TEST(Cycles, CoresOfTwoKindsAreCountedByTheirOwnPmus) {
  Counting machine;
  machine.online("0-1");
  const std::string pmus = "/sys/bus/event_source/devices/";
  machine.set_file(pmus + "cpu_core/type", "4\n");
  machine.set_file(pmus + "cpu_core/cpus", "0\n");
  machine.set_file(pmus + "cpu_atom/type", "10\n");
  machine.set_file(pmus + "cpu_atom/cpus", "1\n");
  machine.cpu(0, 0, true, {0, 0x4'0000'0000}, {0, 0x4'0000'0003});
  machine.cpu(1, 0, true, {0, 0xa'0000'0000}, {0, 0xa'0000'0003});
  auto probe = make_cycles(machine, {});
  machine.set_now(when_counted);
  EXPECT_THAT(seen(probe), ElementsAre("cycles.cpu=6000", "cycles.llc-misses.cpu=6"));
}

TEST(Cycles, TooManyCpusForTheOpenFilesAreNotReadAtAll) {
  Counting machine;
  machine.online("0-511");
  for (int number = 0; number < 512; ++number) machine.cpu(number, 0);
  const auto probe = make_cycles(machine, {});
  EXPECT_FALSE(probe.sensor);
  ASSERT_EQ(probe.unavailable.size(), 1u);
  EXPECT_THAT(probe.unavailable[0].reason, HasSubstr("1024 perf events"));
  EXPECT_THAT(probe.unavailable[0].remedy, HasSubstr("ulimit"));
}

}  // namespace
}  // namespace prony
