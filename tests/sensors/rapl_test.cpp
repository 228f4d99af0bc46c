// RAPL by powercap: zones, nesting, mirrors, limits. (By perf events: rapl_perf_test.cpp.)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "kept_machine.hpp"
#include "machine/simulated.hpp"
#include "model/counter.hpp"
#include "rapl_rig.hpp"
#include "sensors/rapl_limits.hpp"
#include "sensors/report.hpp"
#include "sensors/rows.hpp"

namespace prony {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Rapl, EverySocketAndZoneIsSeenOnceAndNestsBelowThePlatform) {
  const auto machine = kept_machine("intel-2-sockets");
  const auto probe = make_rapl(*machine, {});
  EXPECT_THAT(seen(probe), ElementsAre("rapl.psys.energy=5000000", "rapl.package-0.energy=1000000<psys",
                                       "rapl.core-0.energy=400000<package-0", "rapl.dram-0.energy=90000<psys",
                                       "rapl.package-1.energy=2000000<psys", "rapl.core-1.energy=800000<package-1",
                                       "rapl.dram-1.energy=80000<psys"));
  EXPECT_TRUE(probe.unavailable.empty());
}

TEST(Rapl, ACounterWrapsOneCountAboveItsLargestValue) {
  const auto machine = kept_machine("intel-2-sockets");
  const auto probe = make_rapl(*machine, {});
  const auto& package = probe.sensor->channels()[1];
  EXPECT_EQ(package.range, 262143328850u + 61u);  // 2^32 counts of 61.035 µJ
  EXPECT_NEAR(package.resolution, 61.035, 1e-3);
  EXPECT_EQ(package.scale, 1e-6);
}

TEST(Rapl, DiesOfOnePackageAreTwoDomains) {
  const auto machine = kept_machine("amd-1-socket");
  EXPECT_THAT(seen(make_rapl(*machine, {})),
              ElementsAre("rapl.package-0-die-0.energy=1000000", "rapl.core-0-die-0.energy=400000<package-0-die-0",
                          "rapl.package-0-die-1.energy=1000000", "rapl.core-0-die-1.energy=300000<package-0-die-1"));
}

TEST(Rapl, ANestedTreeIsReadLikeAFlatOne) {
  const auto machine = kept_machine("laptop");
  EXPECT_THAT(seen(make_rapl(*machine, {})),
              ElementsAre("rapl.package-0.energy=500", "rapl.uncore-0.energy=100<package-0"));
}

TEST(Rapl, AnUnreadableZoneIsNamedWithTheCommandThatMendsItAndOthersGoOn) {
  RaplMachine machine;
  for (const std::string id : {"0", "1"}) machine.zone(id, "package-" + id, "5");
  machine.zone_fault("0", EACCES);
  auto probe = make_rapl(machine, {});
  EXPECT_THAT(seen(probe), ElementsAre("rapl.package-1.energy=5"));
  ASSERT_EQ(probe.unavailable.size(), 1u);
  EXPECT_EQ(probe.unavailable[0].subject, "rapl.package-0.energy");
  EXPECT_THAT(probe.unavailable[0].reason, HasSubstr("intel-rapl:0/energy_uj"));
  EXPECT_THAT(probe.unavailable[0].remedy, HasSubstr("sudo prony setup rapl"));
  machine.zone_fault("1", EACCES);
  EXPECT_EQ(make_rapl(machine, {}).sensor, nullptr);
  const auto reports = probe_sensors(machine, {});
  EXPECT_EQ(reports[0].state, SensorState::denied);
}

TEST(Rapl, TheCopyOfAPackageInMemoryMappedRegistersIsNamedAndNotRead) {
  const auto machine = kept_machine("intel-2-sockets");
  const auto probe = make_rapl(*machine, {});
  ASSERT_EQ(probe.notes.size(), 2u);  // and that kept counters do not move
  EXPECT_EQ(probe.notes[0].subject, "rapl.intel-rapl-mmio:0");
}

// A zone with a name of its own, and a number that is none: both are in the test tree of prometheus/procfs.
TEST(Rapl, ZonesWithOddNamesAndNumbersAreReadLikeOthers) {
  RaplMachine machine;
  machine.zone("0", "package-0", "240422366267");
  machine.zone("0:0", "core", "118821284256");
  machine.zone("a", "package-10", "240422366268");
  machine.zone("1", "psys \"x\"\n.é", "5");
  EXPECT_THAT(seen(make_rapl(machine, {})),
              ElementsAre("rapl.package-0.energy=240422366267", "rapl.core-0.energy=118821284256<package-0",
                          "rapl.psys--x-----.energy=5", "rapl.package-10.energy=240422366268"));
}

// Bug: a second die whose zone shows the package's counter again doubles the joules.
TEST(Rapl, DiesThatMirrorOneCounterAreReadOnceAndTheOtherIsNamed) {
  RaplMachine machine;
  auto reads = std::make_shared<std::uint64_t>(0);
  const auto register_uj = [reads](Instant) { return std::to_string(1'000'000 + 61 * (++*reads / 7)); };
  machine.zone("0", "package-0-die-0", register_uj);
  machine.zone("0:0", "core", "7");
  machine.zone("1", "package-0-die-1", register_uj);
  machine.zone("1:0", "core", "9");
  auto probe = make_rapl(machine, {});
  ASSERT_TRUE(probe.sensor);
  ASSERT_EQ(probe.sensor->channels().size(), 3u);
  EXPECT_EQ(probe.sensor->channels()[0].name, "rapl.package-0-die-0.energy");
  // What is inside the die that was left out lies in the counter that is read.
  EXPECT_EQ(probe.sensor->channels()[2].name, "rapl.core-0-die-1.energy");
  EXPECT_EQ(probe.sensor->channels()[2].part_of, ChannelId{0});
  ASSERT_EQ(probe.notes.size(), 1u);
  EXPECT_EQ(probe.notes[0].subject, "rapl.package-0-die-1");
  EXPECT_THAT(probe.notes[0].reason, HasSubstr("mirrors package-0-die-0"));
  EXPECT_TRUE(probe.unavailable.empty());
}

// Bug: taking "nearly equal" for equal halves the joules of an honest machine.
TEST(Rapl, TwoSocketsUnderEqualLoadAreNotTakenForMirrors) {
  for (const std::uint64_t ahead : {0u, 61u, 122u}) {
    RaplMachine machine;
    auto reads = std::make_shared<std::uint64_t>(0);
    // Both go up by the same mean power and start level; the second one's updates come at their own times.
    machine.zone("0", "package-0", [reads](Instant) { return std::to_string(61 * (++*reads / 9)); });
    machine.zone("1", "package-1",
                 [reads, ahead](Instant) { return std::to_string(ahead + 61 * ((++*reads + 5) / 9)); });
    auto probe = make_rapl(machine, {});
    ASSERT_TRUE(probe.sensor);
    EXPECT_EQ(probe.sensor->channels().size(), 2u) << ahead;
    EXPECT_TRUE(probe.notes.empty());
  }
}

TEST(Rapl, EqualCountersThatDoNotMoveTellNothingAndAreBothKept) {
  RaplMachine machine;
  machine.zone("0", "package-0", "5");
  machine.zone("1", "package-1", "5");
  EXPECT_THAT(seen(make_rapl(machine, {})), ElementsAre("rapl.package-0.energy=5", "rapl.package-1.energy=5"));
}

struct Limits : ::testing::Test {
  RaplMachine machine;
  const std::string path = "/sys/class/powercap/intel-rapl:0";
  void SetUp() override {
    machine.zone("0", "package-0", "5");
    machine.zone("0:0", "core", "5");
    machine.zone("0:1", "dram", "5");
  }
  void constraint(const std::string& zone, int number, const std::string& name, double most_w, double limit_w) {
    const auto head = zone + "/constraint_" + std::to_string(number);
    const auto uw = [](double w) { return std::to_string(static_cast<std::int64_t>(w * 1e6)); };
    machine.set_file(head + "_name", name);
    machine.set_file(head + "_max_power_uw", uw(most_w));
    machine.set_file(head + "_power_limit_uw", uw(limit_w));
  }
  double believed(std::size_t channel) { return make_rapl(machine, {}).sensor->channels()[channel].max_rate; }
};

TEST_F(Limits, WithoutAWordFromFirmwareOnlyPhysicsBounds) {
  EXPECT_EQ(believed(0), 1000);
  EXPECT_EQ(believed(1), 1000);
  EXPECT_EQ(believed(2), 500);
}

TEST_F(Limits, ADesignPowerTightensThePackageAndWhatIsInside) {
  constraint(path, 0, "long_term", 15, 25);
  constraint(path, 1, "short_term", 0, 64);
  EXPECT_EQ(believed(0), 145);
  EXPECT_EQ(believed(1), 145);
  EXPECT_EQ(believed(2), 500);
}

TEST_F(Limits, ALimitThatIsSetHigherIsBelievedAndNoLimitIsNone) {
  constraint(path, 0, "long_term", 95, 4090);
  EXPECT_EQ(believed(0), 385);
  constraint(path, 1, "short_term", 0, 400);
  EXPECT_EQ(believed(0), 500);  // 1.25 times
}

TEST_F(Limits, TheShortTermsMaximumIsNoDesignPower) {
  constraint(path, 0, "short_term", 600, 600);
  EXPECT_EQ(believed(0), 1000);
}

TEST_F(Limits, ALargeServersDesignPowerWidensTheBound) {
  constraint(path, 0, "long_term", 600, 600);
  EXPECT_EQ(believed(0), 1200);
}

TEST_F(Limits, MemoryStatesItsOwn) {
  constraint(path + ":1", 0, "long_term", 41, 0);
  EXPECT_EQ(believed(2), 41 * 3 + 100);
  EXPECT_EQ(believed(0), 1000);
}

// Bug: a bound on the mean that holds for every millisecond would call a turbo peak a reset and lose its energy.
TEST_F(Limits, APeakOfSeveralTimesTheDesignPowerForMillisecondsIsNoReset) {
  constraint(path, 0, "long_term", 28, 28);
  const auto probe = make_rapl(machine, {});
  const auto rules = counter_rules(probe.sensor->channels()[0]);
  // 200 W for 5 ms, seen by polls of 1 ms: readers allow 10 ms more than the time between the readings.
  EXPECT_EQ(advance(rules, 1'000'000, 2'000'000, 0.005 + 0.01).step, CounterStep::forward);
  // A reset to near 0 from far below the wrap is none that 184 W explain.
  EXPECT_EQ(advance(rules, 200'000'000'000, 1000, 0.001 + 0.01).step, CounterStep::reset);
}

}  // namespace
}  // namespace prony
