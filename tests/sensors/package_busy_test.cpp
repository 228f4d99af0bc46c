// Busy time of packages and Prony's own by package. Bugs stand in front of each test.
#include "sensors/package_busy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "machine/simulated.hpp"
#include "seen.hpp"
#include "sensors/rows.hpp"

namespace prony {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string cpus = "/sys/devices/system/cpu/";

// CPUs 0 and 2 in package 0, 1 and 3 in package 1, as many machines number them.
void add_packages(SimulatedMachine& machine, const std::string& online = "0-3") {
  machine.set_file(cpus + "possible", "0-3");
  machine.set_file(cpus + "online", online);
  for (int cpu = 0; cpu < 4; ++cpu)
    machine.set_file(cpus + "cpu" + std::to_string(cpu) + "/topology/physical_package_id", cpu % 2 == 0 ? "0" : "1");
}

std::string line(const std::string& name, int user, int system, int idle) {
  return name + " " + std::to_string(user) + " 0 " + std::to_string(system) + " " + std::to_string(idle) +
         " 5 6 7 8 9 10\n";
}

struct PackagesBench {
  SimulatedMachine machine;
  Probe probe;
  void stat(const std::string& lines) {
    machine.set_file("/proc/stat", line("cpu ", 1000, 1000, 9000) + lines + "intr 17 0 0\nctxt 5\n");
  }
  void start() { probe = make_cpu(machine, {}); }
  std::vector<std::string> packages() {
    machine.advance(milliseconds(100));
    Probe only;
    std::swap(only.sensor, probe.more.at(0));
    auto result = seen(only);
    std::swap(only.sensor, probe.more.at(0));
    return result;
  }
};

// Kills: idle, waiting for disks, stolen or a guest's time counted; CPUs taken in halves instead of by their package.
TEST(PackageBusy, EachPackageIsTheSumOfItsCpus) {
  PackagesBench bench;
  add_packages(bench.machine);
  bench.stat(line("cpu0", 10, 1, 900) + line("cpu1", 20, 2, 900) + line("cpu2", 30, 3, 900) + line("cpu3", 40, 4, 900));
  bench.start();
  ASSERT_EQ(bench.probe.more.size(), 1u);
  EXPECT_THAT(bench.packages(), ElementsAre("cpu.busy.package-0=70", "cpu.busy.package-1=92"));
  const Channel& channel = bench.probe.more[0]->channels()[1];
  EXPECT_EQ(channel.domain, "package-1");
  EXPECT_EQ(channel.measure, Measure::cpu_time);
  EXPECT_EQ(channel.scale, 0.01);
  EXPECT_EQ(channel.scope, Scope::host);
  EXPECT_EQ(channel.max_rate, 4);
}

// Kills: a counter that steps back by a CPU's whole life when it goes off, and leaps by it when it comes back.
TEST(PackageBusy, ACpuThatGoesOffTakesNothingAwayAndBringsNothingTwice) {
  PackagesBench bench;
  add_packages(bench.machine);
  bench.stat(line("cpu0", 10, 0, 1) + line("cpu1", 20, 0, 1) + line("cpu2", 1000, 0, 1) + line("cpu3", 40, 0, 1));
  bench.start();
  EXPECT_THAT(bench.packages(), ElementsAre("cpu.busy.package-0=1036", "cpu.busy.package-1=86"));
  bench.stat(line("cpu0", 15, 0, 1) + line("cpu1", 20, 0, 1) + line("cpu3", 40, 0, 1));
  EXPECT_THAT(bench.packages(), ElementsAre("cpu.busy.package-0=1041", "cpu.busy.package-1=86"));
  bench.stat(line("cpu0", 15, 0, 1) + line("cpu1", 20, 0, 1) + line("cpu2", 1002, 0, 1) + line("cpu3", 40, 0, 1));
  EXPECT_THAT(bench.packages(), ElementsAre("cpu.busy.package-0=1043", "cpu.busy.package-1=86"));
}

// Kills: a CPU that was off at the start never counted, or counted with all that it ever used.
TEST(PackageBusy, ACpuThatComesLaterCountsFromThenOn) {
  PackagesBench bench;
  add_packages(bench.machine, "0-2");
  bench.machine.remove(cpus + "cpu3/topology/physical_package_id");
  bench.stat(line("cpu0", 10, 0, 1) + line("cpu1", 20, 0, 1) + line("cpu2", 30, 0, 1));
  bench.start();
  EXPECT_THAT(bench.packages(), ElementsAre("cpu.busy.package-0=66", "cpu.busy.package-1=33"));
  add_packages(bench.machine);
  bench.stat(line("cpu0", 10, 0, 1) + line("cpu1", 20, 0, 1) + line("cpu2", 30, 0, 1) + line("cpu3", 5000, 0, 1));
  EXPECT_THAT(bench.packages(), ElementsAre("cpu.busy.package-0=66", "cpu.busy.package-1=33"));
  EXPECT_THAT(bench.probe.more[0]->changes(), ::testing::IsEmpty());
  EXPECT_THAT(bench.packages(), ElementsAre("cpu.busy.package-0=66", "cpu.busy.package-1=33"));
  bench.stat(line("cpu0", 10, 0, 1) + line("cpu1", 20, 0, 1) + line("cpu2", 30, 0, 1) + line("cpu3", 5004, 0, 1));
  EXPECT_THAT(bench.packages(), ElementsAre("cpu.busy.package-0=66", "cpu.busy.package-1=37"));
}

// Kills: a package whose busy time is the tick's sample alone, or the machine's correction for each.
TEST(PackageBusy, EachIsKeptTrueByWhatItsOwnCpusDidNotIdle) {
  PackagesBench bench;
  add_packages(bench.machine);
  // Of each CPU: 0.6 s busy a second in package 0, of which ticks see 0.5; 0.2 in package 1, of which they see 0.3.
  bench.machine.set_file("/proc/stat", [](Instant t) {
    const auto hundredths = [&t](double share) { return static_cast<int>(share * static_cast<double>(t.ns) * 1e-7); };
    std::string text = "cpu  1 0 1 1 5 6 7 8 9 10\n";
    for (int cpu = 0; cpu < 4; ++cpu)
      text += line("cpu" + std::to_string(cpu), hundredths(cpu % 2 == 0 ? 0.5 : 0.3), 0,
                   hundredths(cpu % 2 == 0 ? 0.4 : 0.8));
    return text + "intr 17 0 0\n";
  });
  bench.start();
  const auto count = [&bench](std::size_t package) {
    std::array<Reading, 2> out;
    bench.machine.advance(milliseconds(100));
    bench.probe.more.at(0)->read(out);
    return static_cast<double>(out[package].raw) * 0.01;
  };
  const double first = count(0), second = count(1);
  for (int i = 0; i < 98; ++i) static_cast<void>(count(0));
  EXPECT_NEAR(count(0) - first, 2 * 0.6 * 10.0, 0.15);
  EXPECT_NEAR(count(1) - second, 2 * 0.2 * 10.0, 0.15);
}

// Kills: half a file taken for a whole one: the packages of the CPUs that are missing stand still.
TEST(PackageBusy, AFileThatIsCutIsAGapAndComesBack) {
  PackagesBench bench;
  add_packages(bench.machine);
  const std::string all =
      line("cpu0", 10, 0, 1) + line("cpu1", 20, 0, 1) + line("cpu2", 30, 0, 1) + line("cpu3", 40, 0, 1);
  bench.stat(all);
  bench.start();
  bench.machine.set_file("/proc/stat", line("cpu ", 1, 1, 1) + line("cpu0", 10, 0, 1) + "cpu1 17 0");
  EXPECT_THAT(bench.packages(), ElementsAre("cpu.busy.package-0=gap", "cpu.busy.package-1=gap"));
  EXPECT_EQ(bench.probe.more[0]->complaints().size(), 1u);
  bench.stat(all);
  EXPECT_THAT(bench.packages(), ElementsAre("cpu.busy.package-0=66", "cpu.busy.package-1=86"));
  EXPECT_THAT(bench.probe.more[0]->complaints(), ::testing::IsEmpty());
}

TEST(PackageBusy, OnePackageIsTheMachineAndPackagesThatCannotBeToldSayWhy) {
  PackagesBench one;
  one.machine.set_file(cpus + "online", "0-1");
  one.machine.set_file(cpus + "cpu0/topology/physical_package_id", "0");
  one.machine.set_file(cpus + "cpu1/topology/physical_package_id", "0");
  one.stat(line("cpu0", 10, 0, 1) + line("cpu1", 20, 0, 1));
  one.start();
  EXPECT_TRUE(one.probe.more.empty());
  EXPECT_TRUE(one.probe.unavailable.empty());
  PackagesBench untold;
  add_packages(untold.machine);
  untold.stat("");
  untold.start();
  EXPECT_TRUE(untold.probe.more.empty());
  ASSERT_EQ(untold.probe.unavailable.size(), 1u);
  EXPECT_THAT(untold.probe.unavailable[0].reason, HasSubstr("does not tell the times of each CPU"));
}

std::string thread_stat(int ticks, int cpu) {
  return "7 (prony) R 1 7 7 0 -1 4194304 1 2 3 4 " + std::to_string(ticks) +
         " 0 77 88 20 0 2 0 345 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 17 " + std::to_string(cpu) + " 0 0 0";
}

// Kills: Prony's own time left in `foreign` of a package.
TEST(Self, PronysOwnTimeIsToldByPackageWhereThereAreSeveral) {
  SimulatedMachine machine;
  add_packages(machine);
  machine.set_own_cpu_time(milliseconds(40));
  machine.set_file("/proc/self/stat", thread_stat(4, 0));
  machine.set_file("/proc/self/task/7/stat", thread_stat(1, 0));
  machine.set_file("/proc/self/task/8/stat", thread_stat(3, 1));
  Probe probe = make_self(machine, {});
  EXPECT_THAT(seen(probe),
              ElementsAre("prony.cpu=40000000", "prony.cpu.package-0=10000000", "prony.cpu.package-1=30000000"));
  machine.set_own_cpu_time(milliseconds(60));
  machine.set_file("/proc/self/task/8/stat", thread_stat(5, 2));
  EXPECT_TRUE(probe.sensor->changes().empty());
  EXPECT_THAT(seen(probe),
              ElementsAre("prony.cpu=60000000", "prony.cpu.package-0=30000000", "prony.cpu.package-1=30000000"));
  EXPECT_EQ(channel_named(probe, "prony.cpu.package-1")->domain, "package-1");
  EXPECT_EQ(channel_named(probe, "prony.cpu.package-1")->scope, Scope::prony);
}

}  // namespace
}  // namespace prony
