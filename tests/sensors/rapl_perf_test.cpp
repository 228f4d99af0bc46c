// RAPL by perf events, and how it shares a machine with powercap.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>

#include "kept_machine.hpp"
#include "machine/simulated.hpp"
#include "rapl_rig.hpp"
#include "sensors/rapl_perf.hpp"
#include "sensors/report.hpp"

namespace prony {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What the catalogue's last row is: cpu-model.
const SensorReport& stand_in_of(const std::vector<SensorReport>& reports) { return reports.back(); }

TEST(RaplPerf, EverySocketIsReadFromItsOwnCpuAndPowercapIsLeftAlone) {
  RaplMachine machine;
  two_sockets(machine);
  auto probe = make_rapl(machine, {});
  machine.set_now(when_counted);
  EXPECT_THAT(seen_all(probe), ElementsAre("@0 rapl.package-0.energy=2000", "@0 rapl.dram-0.energy=3000",
                                           "@24 rapl.package-1.energy=2024", "@24 rapl.dram-1.energy=3024"));
  EXPECT_TRUE(probe.unavailable.empty());
  EXPECT_TRUE(probe.notes.empty());
  EXPECT_TRUE(probe.within.empty());
}

// Bug: a wrap range on a counter of 64 bits invents wraps; a step of one count (0.23 nJ) makes bounds too narrow.
TEST(RaplPerf, ItHasSixtyFourBitsAndTheStepOfTheRegister) {
  RaplMachine machine;
  two_sockets(machine);
  machine.set_file("/sys/class/powercap/intel-rapl:0:0/max_energy_range_uj", "65712999613\n");
  auto probe = make_rapl(machine, {});
  const auto& package = probe.sensor->channels()[0];
  EXPECT_EQ(package.range, 0u);
  EXPECT_DOUBLE_EQ(package.scale, 1.0 / 4294967296.0);
  EXPECT_NEAR(package.resolution * package.scale, 61.035e-6, 1e-9);
  EXPECT_NEAR(probe.sensor->channels()[1].resolution * package.scale, 15.3e-6, 1e-9);
  RaplMachine alone;
  alone.pmu("0", {{"energy-pkg", pkg_event}});
  alone.counts(pkg_event, 0);
  const auto unknown = make_rapl(alone, {});
  EXPECT_DOUBLE_EQ(unknown.sensor->channels()[0].resolution * package.scale, 1.0 / 16384);
}

TEST(RaplPerf, WhatEventsCannotGiveComesFromPowercapIntoTheSamePackage) {
  RaplMachine machine;
  two_sockets(machine);
  machine.zone("0:1", "core", "33");
  machine.zone("1:1", "core", "44");
  machine.zone("2", "psys", "55");
  auto probe = make_rapl(machine, {});
  machine.set_now(when_counted);
  EXPECT_THAT(seen_all(probe),
              ElementsAre("@0 rapl.package-0.energy=2000", "@0 rapl.dram-0.energy=3000",
                          "@0 rapl.core-0.energy=33<package-0", "@24 rapl.package-1.energy=2024",
                          "@24 rapl.dram-1.energy=3024", "@24 rapl.core-1.energy=44<package-1", "rapl.psys.energy=55"));
  // psys is another sensor's channel, and all packages and memories lie in it: never added to it.
  std::vector<std::string> inside;
  for (const auto& [part, whole] : probe.within) inside.push_back(part + "<" + whole);
  EXPECT_THAT(inside, ElementsAre("rapl.package-0.energy<rapl.psys.energy", "rapl.dram-0.energy<rapl.psys.energy",
                                  "rapl.package-1.energy<rapl.psys.energy", "rapl.dram-1.energy<rapl.psys.energy"));
  const auto reports = probe_sensors(machine, {});
  ASSERT_EQ(reports[0].channels.size(), 7u);
  EXPECT_EQ(reports[0].channels[3].part_of, ChannelId{6});
  EXPECT_EQ(reports[0].channels[5].part_of, ChannelId{3});
}

TEST(RaplPerf, ThePlatformIsCountedByTheFirstCpuAlone) {
  RaplMachine machine;
  machine.pmu("0,24", {{"energy-psys", psys_event},
                       {"energy-pkg", pkg_event},
                       {"energy-cores", cores_event},
                       {"energy-gpu", gpu_event}});
  machine.cpu(0, 0);
  machine.cpu(24, 1);
  for (const int cpu : {0, 24})
    for (const auto number : {psys_event, pkg_event, cores_event, gpu_event}) machine.counts(number, cpu);
  auto probe = make_rapl(machine, {});
  machine.set_now(when_counted);
  EXPECT_THAT(seen_all(probe),
              ElementsAre("@0 rapl.psys.energy=5000", "@0 rapl.package-0.energy=2000<psys",
                          "@0 rapl.core-0.energy=1000<package-0", "@0 rapl.uncore-0.energy=4000<package-0",
                          "@24 rapl.package-1.energy=2024", "@24 rapl.core-1.energy=1024<package-1",
                          "@24 rapl.uncore-1.energy=4024<package-1"));
  ASSERT_EQ(probe.within.size(), 1u);
  EXPECT_EQ(probe.within[0].part, "rapl.package-1.energy");
}

TEST(RaplPerf, AnEventThatThisProcessorRefusesLosesOnlyItself) {
  RaplMachine machine;
  machine.pmu("0", {{"energy-pkg", pkg_event}, {"energy-gpu", gpu_event}});
  machine.counts(pkg_event, 0);  // the other one is listed but gives ENOENT
  machine.zone("0", "package-0", "1");
  machine.zone("0:0", "uncore", "8");
  auto probe = make_rapl(machine, {});
  machine.set_now(when_counted);
  EXPECT_THAT(seen_all(probe), ElementsAre("@0 rapl.package-0.energy=2000", "@0 rapl.uncore-0.energy=8<package-0"));
}

TEST(RaplPerf, DeniedEventsLeavePowercapAndSayWhatTheyWouldBring) {
  RaplMachine machine;
  two_sockets(machine);
  machine.set_perf_fault(EACCES);
  auto probe = make_rapl(machine, {});
  EXPECT_THAT(seen_all(probe), ElementsAre("rapl.package-0.energy=5", "rapl.dram-0.energy=6",
                                           "rapl.package-1.energy=15", "rapl.dram-1.energy=16"));
  EXPECT_TRUE(probe.unavailable.empty()) << "nothing is missing";
  ASSERT_EQ(probe.notes.size(), 1u);
  EXPECT_THAT(probe.notes[0].reason, AllOf(HasSubstr("64 bits"), HasSubstr("sudo prony setup perf")));
  EXPECT_EQ(probe_sensors(machine, {})[0].state, SensorState::ready);
}

// Bug: `prony setup perf` advised to somebody in a guest, whose PMU opens then and counts nothing.
TEST(RaplPerf, InAVirtualMachineTheHostIsNamedBeforeTheCommand) {
  const auto told_in = [](const std::string& flags) {
    RaplMachine machine;
    machine.set_file("/proc/cpuinfo",
                     "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\nflags\t\t: " + flags);
    machine.pmu("0", {{"energy-pkg", pkg_event}});
    machine.set_perf_fault(EACCES);
    return make_rapl(machine, {}).unavailable.at(0);
  };
  const auto guest = told_in("fpu hypervisor"), host = told_in("fpu");
  EXPECT_THAT(guest.reason, HasSubstr("usually count nothing"));
  EXPECT_THAT(guest.remedy, testing::StartsWith("measure on the host"));
  EXPECT_THAT(host.remedy, testing::StartsWith("sudo prony setup perf"));
}

// Bug: modprobe advised in a container, where nobody may load a driver.
TEST(RaplPerf, WhereThereIsNoZoneTheAdviceIsForWhereOneIs) {
  const auto remedy_in = [](const std::vector<std::string>& files, const std::string& flags) {
    RaplMachine machine;
    machine.set_file("/proc/cpuinfo",
                     "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\nflags\t\t: " + flags);
    for (const auto& file : files) machine.set_file(file, "");
    return make_rapl(machine, {}).unavailable.at(0).remedy;
  };
  EXPECT_THAT(remedy_in({}, "fpu"), HasSubstr("modprobe"));
  EXPECT_THAT(remedy_in({"/.dockerenv"}, "fpu"),
              AllOf(HasSubstr("--sysfs /host/sys"), testing::Not(HasSubstr("modprobe"))));
  EXPECT_THAT(remedy_in({"/.dockerenv"}, "fpu hypervisor"), HasSubstr("the host keeps"));
}

// Every look at its clock takes a millisecond.
struct TickingMachine : RaplMachine {
  [[nodiscard]] Instant now() const noexcept override { return {ns_ += 1'000'000}; }
  mutable std::int64_t ns_ = 0;
};

// Bug: a platform meter that firmware only pretends to have passes for measured energy, and nothing is modelled.
TEST(Rapl, APlatformMeterThatStandsAloneAndStillLeavesTheStandInInUse) {
  TickingMachine still, moving;
  still.zone("1", "psys", "5");
  moving.zone("1", "psys", [n = 5](Instant) mutable { return std::to_string(++n); });
  for (auto* machine : {&still, &moving}) machine->set_file("/proc/stat", "cpu  10 0 20 300 0 0 0 0\n");
  const auto stand_in = [](Machine& machine) { return probe_sensors(machine, {}).back(); };
  ASSERT_EQ(stand_in(still).name, "cpu-model");
  EXPECT_TRUE(stand_in(still).in_use);
  EXPECT_FALSE(stand_in(moving).in_use);
  const auto probe = make_rapl(still, {});
  ASSERT_EQ(probe.notes.size(), 1u);
  EXPECT_THAT(probe.notes[0].reason, HasSubstr("did not move"));
}

RaplMachine::Text counting() {
  return [n = 5](Instant) mutable { return std::to_string(++n); };
}

// Bug: a package whose counter stands still, or whose file holds rubbish or an error, passes for measured energy: the
// Run has joules of nothing.
TEST(Rapl, APackageThatDoesNotCountLeavesTheStandInInUseAndSaysWhy) {
  TickingMachine still, broken, rubbish;
  for (auto* machine : {&still, &broken, &rubbish}) {
    machine->set_file("/proc/stat", "cpu  10 0 20 300 0 0 0 0\n");
    for (const std::string id : {"0", "1"}) machine->zone(id, "package-" + id, machine == &rubbish ? "x" : "5" + id);
  }
  for (const auto* id : {"0", "1"}) broken.zone_fault(id, EIO);
  for (auto& [machine, why] : {std::pair{&still, "package-0, package-1 did not move in 50 ms"},
                               std::pair{&rubbish, "package-0, package-1 could not be read (holds something"}}) {
    const auto reports = probe_sensors(*machine, {});
    EXPECT_TRUE(stand_in_of(reports).in_use) << why;
    EXPECT_THAT(reports[0].doubted, ElementsAre("rapl.package-0.energy", "rapl.package-1.energy"));
    const auto probe = make_rapl(*machine, {});
    ASSERT_FALSE(probe.notes.empty());
    EXPECT_THAT(probe.notes.back().reason, AllOf(HasSubstr(why), HasSubstr("power is modelled beside it")));
  }
  EXPECT_TRUE(stand_in_of(probe_sensors(broken, {})).in_use);
}

// Bug: one package of two that stands still brings the model in beside measured joules, or is not spoken of.
TEST(Rapl, APackageThatCountsNeedsNoStandInAndTheOneThatDoesNotIsNamed) {
  TickingMachine machine;
  machine.set_file("/proc/stat", "cpu  10 0 20 300 0 0 0 0\n");
  machine.zone("0", "package-0", counting());
  machine.zone("1", "package-1", "7");
  const auto reports = probe_sensors(machine, {});
  EXPECT_FALSE(stand_in_of(reports).in_use);
  EXPECT_THAT(reports[0].doubted, ElementsAre("rapl.package-1.energy"));
  const auto probe = make_rapl(machine, {});
  ASSERT_EQ(probe.notes.size(), 1u);
  EXPECT_THAT(probe.notes[0].reason,
              HasSubstr("package-1 did not move in 10 ms: until seen to count, no sum holds it"));
}

// Bug: every start waits out the time of zones that move at once.
TEST(Rapl, ZonesThatMoveAreNotWaitedFor) {
  TickingMachine machine;
  for (const std::string id : {"0", "1"}) machine.zone(id, "package-" + id, counting());
  const auto begin = machine.ns_;
  const auto probe = make_rapl(machine, {});
  EXPECT_TRUE(probe.doubted.empty());
  EXPECT_LT(machine.ns_ - begin, 60 * 1'000'000) << "the watch for mirrors is 40 ms of it";
}

TEST(RaplPerf, WhereBothAreDeniedOneReasonNamesTheCommandThatMendsIt) {
  RaplMachine machine;
  two_sockets(machine);
  machine.set_perf_fault(EACCES);
  for (const auto* id : {"0", "0:0", "1", "1:0"}) machine.zone_fault(id, EACCES);
  const auto probe = make_rapl(machine, {});
  EXPECT_FALSE(probe.sensor);
  ASSERT_EQ(probe.unavailable.size(), 1u);
  EXPECT_EQ(probe.unavailable[0].subject, "rapl");
  EXPECT_THAT(probe.unavailable[0].reason, AllOf(HasSubstr("intel-rapl:0/energy_uj"), HasSubstr("ermission denied"),
                                                 HasSubstr("3 more"), HasSubstr("perf events")));
  EXPECT_THAT(probe.unavailable[0].remedy, HasSubstr("sudo prony setup rapl"));
  machine.set_file("/proc/stat", "cpu  10 0 20 300 0 0 0 0\n");
  const auto reports = probe_sensors(machine, {});
  EXPECT_EQ(reports[0].state, SensorState::denied);
  EXPECT_TRUE(stand_in_of(reports).in_use);
}

TEST(RaplPerf, AGroupThatIsSharedOrInErrorIsAGapWithItsReasonAndFilesGoOn) {
  RaplMachine machine;
  two_sockets(machine);
  machine.zone("0:1", "core", "33");
  auto probe = make_rapl(machine, {});
  machine.set_now(when_counted);
  machine.set_perf_read_fault(0, EBUSY);
  EXPECT_THAT(seen_all(probe), ElementsAre("@0 rapl.package-0.energy=gap", "@0 rapl.dram-0.energy=gap",
                                           "@0 rapl.core-0.energy=33<package-0", "@24 rapl.package-1.energy=2024",
                                           "@24 rapl.dram-1.energy=3024"));
  auto told = probe.sensor->complaints();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].subject, "rapl.package-0.energy");
  EXPECT_THAT(told[0].reason, HasSubstr("too many perf events"));
  EXPECT_TRUE(probe.sensor->complaints().empty()) << "told once";
  machine.set_perf_read_fault(0, ENODEV);
  EXPECT_THAT(seen(probe)[0], HasSubstr("gap"));
  EXPECT_THAT(probe.sensor->complaints()[0].reason, HasSubstr("error state"));
  machine.set_perf_read_fault(0, 0);
  EXPECT_THAT(seen(probe)[0], HasSubstr("=2000"));
}

TEST(RaplPerf, ASocketWhoseGroupCannotBeReadIsReadByPowercap) {
  RaplMachine machine;
  two_sockets(machine);
  machine.set_perf_read_fault(24, ENODEV);
  auto probe = make_rapl(machine, {});
  machine.set_now(when_counted);
  EXPECT_THAT(seen_all(probe), ElementsAre("@0 rapl.package-0.energy=2000", "@0 rapl.dram-0.energy=3000",
                                           "rapl.package-1.energy=15", "rapl.dram-1.energy=16"));
}

// Bug: two dies of one package, whose perf events count one register, are added.
TEST(RaplPerf, DiesThatMirrorOneRegisterAreReadOnceAlsoWherePowercapListsBoth) {
  RaplMachine machine;
  machine.pmu("0,8", {{"energy-pkg", pkg_event}});
  machine.cpu(0, 0, 0);
  machine.cpu(8, 0, 1);
  auto reads = std::make_shared<std::uint64_t>(0);
  const auto shared = [reads](Instant) { return ++*reads / 7 * 262'144; };
  machine.set_perf({power_pmu, pkg_event}, 0, shared);
  machine.set_perf({power_pmu, pkg_event}, 8, shared);
  machine.zone("0", "package-0-die-0", "1");
  machine.zone("1", "package-0-die-1", "2");
  auto probe = make_rapl(machine, {});
  ASSERT_TRUE(probe.sensor);
  ASSERT_EQ(probe.sensor->channels().size(), 1u);
  EXPECT_EQ(probe.sensor->channels()[0].name, "rapl.package-0-die-0.energy");
  EXPECT_TRUE(probe.more.empty());
  ASSERT_EQ(probe.notes.size(), 1u);
  EXPECT_EQ(probe.notes[0].subject, "rapl.package-0-die-1");
}

TEST(RaplPerf, HonestDiesAreTwoDomainsNamedAsPowercapNamesThem) {
  RaplMachine machine;
  machine.pmu("0,8", {{"energy-pkg", pkg_event}});
  machine.cpu(0, 0, 0);
  machine.cpu(8, 0, 1);
  auto reads = std::make_shared<std::uint64_t>(0);
  for (const int cpu : {0, 8})
    machine.set_perf({power_pmu, pkg_event}, cpu,
                     [=](Instant) { return (++*reads + static_cast<std::uint64_t>(cpu)) / 17 * 262'144; });
  machine.zone("0", "package-0-die-0", "1");
  machine.zone("1", "package-0-die-1", "2");
  auto probe = make_rapl(machine, {});
  ASSERT_EQ(probe.more.size(), 1u);
  EXPECT_EQ(probe.sensor->channels()[0].name, "rapl.package-0-die-0.energy");
  EXPECT_EQ(probe.more[0]->channels()[0].name, "rapl.package-0-die-1.energy");
  EXPECT_EQ(probe.more[0]->home_cpu(), 8u);
}

// A machine whose clock moves by itself.
struct RunningMachine : RaplMachine {
  [[nodiscard]] Instant now() const noexcept override { return Instant{calls->fetch_add(1) * 10'000}; }
  std::shared_ptr<std::atomic<std::int64_t>> calls = std::make_shared<std::atomic<std::int64_t>>(0);
  void running(std::uint64_t number, int on_cpu) {
    auto reads = std::make_shared<std::uint64_t>(0);
    set_perf({power_pmu, number}, on_cpu, [=](Instant) { return ++*reads; });
  }
  void resting(std::uint64_t number, int on_cpu) {
    set_perf({power_pmu, number}, on_cpu, [](Instant) { return std::uint64_t{0}; });
  }
};

// Bug: a virtual machine shows energy-psys, whose register is always 0: a counter of 0 J in the place of the model.
TEST(RaplPerf, EventsThatCountNothingAreNoSensor) {
  RunningMachine machine;
  machine.pmu("0", {{"energy-psys", psys_event}});
  machine.resting(psys_event, 0);
  const auto probe = make_rapl(machine, {});
  EXPECT_FALSE(probe.sensor);
  ASSERT_EQ(probe.unavailable.size(), 1u);
  EXPECT_THAT(probe.unavailable[0].reason, HasSubstr("energy-psys on CPU 0 can be opened but counts nothing"));
  EXPECT_TRUE(probe_sensors(machine, {}).back().in_use);
}

TEST(RaplPerf, ADeadPlatformHidesNoPackageAndARestingPartIsKept) {
  RunningMachine machine;
  machine.pmu("0", {{"energy-psys", psys_event}, {"energy-pkg", pkg_event}, {"energy-gpu", gpu_event}});
  machine.resting(psys_event, 0);
  machine.resting(gpu_event, 0);
  machine.running(pkg_event, 0);
  const auto probe = make_rapl(machine, {});
  ASSERT_TRUE(probe.sensor);
  ASSERT_EQ(probe.sensor->channels().size(), 2u);
  EXPECT_EQ(probe.sensor->channels()[0].name, "rapl.package-0.energy");
  EXPECT_FALSE(probe.sensor->channels()[0].part_of);
  EXPECT_EQ(probe.sensor->channels()[1].name, "rapl.uncore-0.energy");
  EXPECT_EQ(probe.notes.size(), 1u);
}

// Bug: whoever starts while another program has the CPU looks once, and calls a counter dead that ran meanwhile.
TEST(RaplPerf, ACounterThatRanWhileProbingWasKeptOffTheCpuIsAlive) {
  struct : RunningMachine {  // a second goes by between any two looks at the clock
    [[nodiscard]] Instant now() const noexcept override { return Instant{calls->fetch_add(1) * 1'000'000'000}; }
  } machine;
  machine.pmu("0", {{"energy-pkg", pkg_event}});
  machine.set_perf({power_pmu, pkg_event}, 0,
                   [calls = machine.calls](Instant) { return static_cast<std::uint64_t>(calls->load()); });
  const auto probe = make_rapl(machine, {});
  ASSERT_TRUE(probe.sensor);
  EXPECT_EQ(probe.sensor->channels().size(), 1u);
}

// Bug: every start in a virtual machine waits for counters that cannot move (30 ms of a `prony run -- true`).
TEST(RaplPerf, DeadEventsAreGivenUpAfterFiveUpdatesThatALivingPackageWouldHaveMade) {
  RunningMachine machine;
  machine.pmu("0", {{"energy-psys", psys_event}, {"energy-pkg", pkg_event}});
  machine.resting(psys_event, 0);
  machine.resting(pkg_event, 0);
  const auto probe = make_rapl(machine, {});
  EXPECT_FALSE(probe.sensor);
  const auto probing = machine.now() - Instant{};  // by the machine's own clock, which each look at it moves by 10 µs
  EXPECT_GE(probing.ns, 5'000'000);
  EXPECT_LT(probing.ns, 8'000'000);
}

// A counter that moves for the first time `after_ns` of the machine's own clock.
void moves_after(RunningMachine& machine, std::uint64_t number, std::int64_t after_ns) {
  machine.set_perf({power_pmu, number}, 0, [calls = machine.calls, after_ns](Instant) {
    return static_cast<std::uint64_t>(calls->load() * 10'000 >= after_ns ? 9 : 5);
  });
}

// Bug: where the kernel lists no package, because its register read 0 (virtual machines), every start waits as long as
// where one is listed; or one update of a living platform meter is not waited for.
TEST(RaplPerf, WhereNoPackageIsListedTwoMillisecondsTellWhetherThePlatformCounts) {
  RunningMachine dead;
  dead.pmu("0", {{"energy-psys", psys_event}});
  dead.resting(psys_event, 0);
  EXPECT_FALSE(make_rapl(dead, {}).sensor);
  const auto probing = dead.now() - Instant{};
  EXPECT_GE(probing.ns, 2'000'000);
  EXPECT_LT(probing.ns, 4'000'000) << "not the 5 ms of a package";
  for (const auto& [after_ms, alive] : {std::pair{1, true}, std::pair{3, false}}) {
    RunningMachine machine;
    machine.pmu("0", {{"energy-psys", psys_event}});
    moves_after(machine, psys_event, after_ms * 1'000'000);
    EXPECT_EQ(make_rapl(machine, {}).sensor != nullptr, alive) << after_ms << " ms";
  }
  RunningMachine listed;  // a package is listed: what moves after 3 ms is in time
  listed.pmu("0", {{"energy-psys", psys_event}, {"energy-pkg", pkg_event}});
  moves_after(listed, psys_event, 3'000'000);
  listed.running(pkg_event, 0);
  const auto probe = make_rapl(listed, {});
  ASSERT_TRUE(probe.sensor);
  EXPECT_EQ(probe.sensor->channels().size(), 2u);
}

// Bug: a domain whose perf event was given up is thought covered, and powercap, where it counts, is not read.
TEST(RaplPerf, ADomainWhoseEventIsGivenUpIsReadByPowercap) {
  RunningMachine machine;
  machine.pmu("0", {{"energy-psys", psys_event}});
  machine.resting(psys_event, 0);
  machine.zone("1", "psys", counting());
  const auto probe = make_rapl(machine, {});
  ASSERT_TRUE(probe.sensor);
  ASSERT_EQ(probe.sensor->channels().size(), 1u);
  EXPECT_EQ(probe.sensor->channels()[0].device, "intel-rapl:1");
  EXPECT_TRUE(probe.doubted.empty());
}

// Bug: a platform meter that is slower than the package is taken for dead as soon as the package has moved.
TEST(RaplPerf, APlatformThatMovesLaterThanItsPackageIsWaitedFor) {
  RunningMachine machine;
  machine.pmu("0", {{"energy-psys", psys_event}, {"energy-pkg", pkg_event}});
  machine.running(pkg_event, 0);
  machine.set_perf({power_pmu, psys_event}, 0, [calls = machine.calls](Instant) {
    return static_cast<std::uint64_t>(calls->load() * 10'000 / 8'000'000);  // every 8 ms
  });
  const auto probe = make_rapl(machine, {});
  ASSERT_TRUE(probe.sensor);
  EXPECT_EQ(probe.sensor->channels().size(), 2u);
}

TEST(RaplPerf, APmuThatIsNotWhatAKernelWritesIsPassedOver) {
  for (const auto& [file, text] : {std::pair{"type", "x"}, std::pair{"cpumask", "0-"}, std::pair{"cpumask", ""},
                                   std::pair{"cpumask", "0-999999"}, std::pair{"type", "-1"}}) {
    RaplMachine machine;
    two_sockets(machine);
    machine.set_file("/sys/bus/event_source/devices/power/" + std::string(file), text);
    auto probe = make_rapl(machine, {});
    EXPECT_THAT(seen_all(probe)[0], "rapl.package-0.energy=5") << file << " " << text;
  }
  for (const auto& [file, text] : {std::pair{"energy-pkg", "event=0x1ff"}, std::pair{"energy-pkg", "event=2"},
                                   std::pair{"energy-pkg", ""}, std::pair{"energy-pkg.scale", "nan"},
                                   std::pair{"energy-pkg.scale", "-1"}, std::pair{"energy-pkg.unit", "Wh"}}) {
    RaplMachine machine;
    two_sockets(machine);
    machine.set_file("/sys/bus/event_source/devices/power/events/" + std::string(file), text);
    auto probe = make_rapl(machine, {});
    machine.set_now(when_counted);
    EXPECT_THAT(seen_all(probe), ElementsAre("@0 rapl.dram-0.energy=3000", "@0 rapl.package-0.energy=5",
                                             "@24 rapl.dram-1.energy=3024", "@24 rapl.package-1.energy=15"))
        << file << " " << text;
    EXPECT_EQ(probe.notes.size(), 1u);
  }
}

TEST(RaplPerf, ACapturedMachineHasNoPerfEventsAndSaysNothingOfThem) {
  const auto machine = kept_machine("vm");
  const auto group = machine->open_perf(std::vector<PerfEvent>{{9, 5}}, -1, 0);
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().code, ErrorCode::unavailable);
  ASSERT_TRUE(machine->exists("/sys/bus/event_source/devices/power/events/energy-psys"));
  const auto probe = make_rapl(*machine, {});
  EXPECT_FALSE(probe.sensor);
  ASSERT_EQ(probe.unavailable.size(), 1u);
  EXPECT_EQ(probe.unavailable[0].reason, "/sys/class/powercap is not there");
}

// Bug: numbers from another machine's /sys would open whatever event has that number here.
TEST(RaplPerf, AnotherMachinesSysfsOpensNoEventsOfThisOne) {
  const auto machine = make_live_machine({.sysfs = std::string(PRONY_SOURCE_DIR) + "/tests/machines/laptop/sys"});
  const auto group = machine->open_perf(std::vector<PerfEvent>{{1, 0}}, -1, 0);
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().code, ErrorCode::unavailable);
}

}  // namespace
}  // namespace prony
