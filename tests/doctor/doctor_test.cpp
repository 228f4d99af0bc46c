// The doctor on machines of files and of functions. Bugs it must not have: Prony's own load told as foreign, a recycled
// pid's whole life told as 300 ms of load, an exit code of 0 with a poor verdict, a guess where a file is rubbish.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/text.hpp"
#include "machines.hpp"

namespace prony::doctor {
namespace {

// What the catalogue of sensors lacks here changes with every new sensor: not part of the picture.
void expect_golden(const std::string& name, Report report) {
  std::erase_if(report.findings, [](const Finding& finding) { return finding.check == "sensors not here"; });
  const std::string text = to_text(report, 100, false);
  const std::string path = std::string(PRONY_SOURCE_DIR) + "/tests/doctor/golden/" + name + ".txt";
  if (std::getenv("PRONY_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << text;
    GTEST_SKIP() << "golden file rewritten, not compared";
  }
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file) << path;
  std::ostringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(text, golden.str());
}

TEST(DoctorScreen, OfAHealthyMachineIsTheGoldenFile) {
  SimulatedMachine machine;
  furnish(machine);
  expect_golden("healthy", examine_simulated(machine));
}

TEST(DoctorScreen, OfATroubledMachineIsTheGoldenFile) {
  SimulatedMachine machine;
  furnish(machine);
  machine.set_file("/proc/stat",
                   [](Instant at) { return at.ns > 1'000'000'000 ? cpu_line(560, 5060) : cpu_line(500, 5000); });
  machine.set_file("/proc/9/stat",
                   [](Instant at) { return process_line(9, "cc1plus", at.ns > 1'000'000'000 ? 160 : 100, 5); });
  machine.set_file("/proc/meminfo",
                   "MemTotal: 16000000 kB\nMemAvailable: 300000 kB\nSwapTotal: 4194304 kB\nSwapFree: 1 kB\n");
  machine.set_file("/sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "powersave");
  machine.set_file("/sys/devices/system/cpu/cpufreq/policy0/scaling_driver", "intel_pstate");
  machine.set_file("/sys/devices/system/cpu/intel_pstate/no_turbo", "0");
  machine.set_file("/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count",
                   [](Instant at) { return std::string(at.ns > 1'000'000'000 ? "9" : "4"); });
  machine.set_file("/proc/self/cgroup", "0::/kubepods/pod1\n");
  machine.set_file("/sys/fs/cgroup/kubepods/pod1/cpu.max", "200000 100000");
  HostFacts host = healthy();
  host.timers->p99_s = 0.0123;
  host.place->trouble = "Read-only file system";
  expect_golden("troubled", examine_simulated(machine, host));
}

TEST(DoctorScreen, FitsOneScreenOnEveryMachine) {
  for (const char* name : {"intel-2-sockets", "amd-1-socket", "laptop", "jetson-like", "nothing"}) {
    for (const std::size_t width : {80U, 100U, 250U}) {
      const std::string text = to_text(examine_captured(name), width, false);
      if (width >= 100) {
        EXPECT_LE(std::ranges::count(text, '\n'), 40) << name << "\n" << text;
      }
      for_each_line(text, [&](std::string_view line) {
        EXPECT_LE(display_width(line), std::min<std::size_t>(width, 100)) << line;
      });
    }
  }
}

TEST(Doctor, AHealthyMachineHasNothingToMendAndExitsWith0) {
  SimulatedMachine machine;
  furnish(machine);
  const Report report = examine_simulated(machine);
  EXPECT_EQ(exit_code_of(report), 0) << to_text(report, 100, false);
  ASSERT_EQ(report.energy.size(), 1U);
  EXPECT_EQ(report.energy[0].domain, "package-0");
  EXPECT_FALSE(report.energy[0].modelled);
  EXPECT_NE(to_text(report, 100, false).find("joules are measured here · nothing to mend"), std::string::npos);
}

TEST(Doctor, WhatIsDeniedIsMissingWithTheCommandThatMendsIt) {
  SimulatedMachine machine;
  furnish(machine);
  machine.set_fault("/sys/class/powercap/intel-rapl:0/energy_uj", EACCES);
  const Report report = examine_simulated(machine);
  const Finding finding = finding_of(report, "sensor rapl");
  EXPECT_EQ(finding.verdict, Verdict::missing);
  EXPECT_NE(finding.remedy.find("sudo"), std::string::npos) << finding.remedy;
  EXPECT_EQ(exit_code_of(report), 1);
  EXPECT_EQ(report.findings.front().verdict, Verdict::missing) << "the worst first";
  for (const EnergySource& source : report.energy) EXPECT_TRUE(source.modelled);
}

TEST(Doctor, TheExitCodeIs1ForPoorAndMissingAndForNothingElse) {
  for (const auto& [verdict, code] :
       {std::pair{Verdict::ok, 0}, {Verdict::note, 0}, {Verdict::poor, 1}, {Verdict::missing, 1}}) {
    Report report;
    report.findings = {{"a", Verdict::ok, "", ""}, {"b", verdict, "", ""}};
    EXPECT_EQ(exit_code_of(report), code) << to_string(verdict);
  }
}

// Of 4 CPUs × 300 ms = 120 ticks others use 30, Prony 20; the rest is idle.
// Bug: counters that are there and do not count, and what lies in them, pass for measured joules. (Kept files stand
// still.)
TEST(Doctor, CountersThatDoNotCountAreNoMeasuredJoules) {
  const Report report = examine_captured("amd-epyc");
  const Finding energy = finding_of(report, "energy");
  EXPECT_EQ(energy.verdict, Verdict::poor);
  EXPECT_EQ(number(energy, "measured_channels"), 0);
  EXPECT_EQ(number(energy, "channels_not_seen_to_count"), 2);  // the package, and the cores in it
  EXPECT_EQ(number(energy, "modelled_channels"), 1);
  const std::string text = to_text(report, 100, false);
  EXPECT_THAT(text, testing::AllOf(testing::HasSubstr("joules are modelled here"), testing::HasSubstr("do not count")));
}

TEST(DoctorLoad, OthersAreCountedWithoutPronyAndNamedByTheirShare) {
  SimulatedMachine machine;
  furnish(machine);
  const auto later = [](Instant at) { return at.ns > 1'000'000'000; };
  machine.set_file("/proc/stat", [=](Instant at) { return later(at) ? cpu_line(1050, 5070) : cpu_line(1000, 5000); });
  const auto process = [&](int pid, const char* name, std::uint64_t before, std::uint64_t after,
                           std::uint64_t start_after) {
    machine.set_file("/proc/" + std::to_string(pid) + "/stat", [=](Instant at) {
      return later(at) ? process_line(pid, name, after, start_after) : process_line(pid, name, before, 5);
    });
  };
  process(77, "prony", 100, 120, 5);
  process(80, "cc1plus", 900, 918, 5);
  process(81, "we(ird) x", 40, 46, 5);
  process(82, "reborn", 70'000, 4, 900);  // another process under an old number: its own 4 ticks
  process(83, "rubbish", 70'000, 3, 5);   // goes backwards: nothing
  const Finding load = finding_of(examine_simulated(machine), "foreign load");
  EXPECT_DOUBLE_EQ(number(load, "foreign_cpus"), 1.0);
  EXPECT_EQ(load.verdict, Verdict::poor);
  EXPECT_EQ(load.text, "others use 1.00 of 4 CPUs: cc1plus 0.60, we(ird) x 0.20, reborn 0.13");
}

TEST(DoctorLoad, TheVerdictTurnsAtATenthOfTheMachine) {
  for (const auto& [busy, verdict] :
       {std::pair{0, Verdict::ok}, {2, Verdict::ok}, {5, Verdict::note}, {12, Verdict::note}, {13, Verdict::poor}}) {
    SimulatedMachine machine;
    furnish(machine);
    const auto ticks = static_cast<std::uint64_t>(busy);
    machine.set_file("/proc/stat", [=](Instant at) {
      return at.ns > 1'000'000'000 ? cpu_line(500 + ticks, 5120 - ticks) : cpu_line(500, 5000);
    });
    EXPECT_EQ(finding_of(examine_simulated(machine), "foreign load").verdict, verdict) << busy;
  }
}

TEST(DoctorLoad, StolenTimeIsTheHypervisorsAndNotOthers) {
  SimulatedMachine machine;
  furnish(machine);
  machine.set_file("/proc/stat", [](Instant at) {
    return at.ns > 1'000'000'000 ? cpu_line(500, 5060, 90) : cpu_line(500, 5000, 30);
  });
  const Finding load = finding_of(examine_simulated(machine), "foreign load");
  EXPECT_DOUBLE_EQ(number(load, "foreign_cpus"), 0.0);
  EXPECT_DOUBLE_EQ(number(load, "stolen_cpus"), 2.0);
}

TEST(DoctorLoad, WhatDoesNotMoveOrIsRubbishIsNoLoadOfZero) {
  for (const char* text :
       {"cpu  100 0 0 500 0 0 0 0\n", "cpu  x y z\n", "", "intr 5\n", "cpu  99999999999999999999 0 0 1\n"}) {
    SimulatedMachine machine;
    furnish(machine);
    machine.set_file("/proc/stat", std::string(text));
    const Finding load = finding_of(examine_simulated(machine), "foreign load");
    EXPECT_EQ(load.verdict, Verdict::note);
    EXPECT_TRUE(load.numbers.empty()) << text;
  }
}

TEST(DoctorChecks, ThrottlingNowIsPoorAndThrottlingBeforeIsANote) {
  const auto verdict_of = [](const char* before, const char* after) {
    SimulatedMachine machine;
    furnish(machine);
    machine.set_file("/sys/devices/system/cpu/cpu2/thermal_throttle/package_throttle_count",
                     [=](Instant at) { return std::string(at.ns > 1'000'000'000 ? after : before); });
    return finding_of(examine_simulated(machine), "throttling").verdict;
  };
  EXPECT_EQ(verdict_of("0", "0"), Verdict::ok);
  EXPECT_EQ(verdict_of("7", "7"), Verdict::note);
  EXPECT_EQ(verdict_of("7", "8"), Verdict::poor);
}

TEST(DoctorChecks, APackagesThrottlingIsCountedOnceAndNotOncePerCpuThatTellsIt) {
  SimulatedMachine machine;
  furnish(machine);
  machine.set_cpu_count(4);
  for (const std::string cpu : {"0", "1", "2", "3"}) {  // two cores of two threads in one package
    const auto folder = "/sys/devices/system/cpu/cpu" + cpu + "/";
    machine.set_file(folder + "topology/physical_package_id", "0");
    machine.set_file(folder + "topology/core_id", cpu < "2" ? "0" : "1");
    machine.set_file(folder + "thermal_throttle/package_throttle_count", "100");
    machine.set_file(folder + "thermal_throttle/core_throttle_count", "7");
  }
  EXPECT_NE(finding_of(examine_simulated(machine), "throttling").text.find("114 times"), std::string::npos);
}

TEST(DoctorChecks, TheBoardsFirmwareFlagsTellNowFromSinceBoot) {
  for (const auto& [flags, verdict] : {std::pair{"0x0", Verdict::ok},
                                       {"50000", Verdict::note},
                                       {"0x50005", Verdict::poor},
                                       {"-5", Verdict::note},
                                       {"0xzz", Verdict::note}}) {
    SimulatedMachine machine;
    furnish(machine);
    machine.set_file("/sys/devices/platform/soc/soc:firmware/get_throttled", std::string(flags));
    const Finding finding = finding_of(examine_simulated(machine), "throttling");
    EXPECT_EQ(finding.verdict, verdict) << flags;
    if (std::string(flags) == "0x50005") {
      EXPECT_NE(finding.text.find("voltage"), std::string::npos);
    }
  }
}

struct Case {
  const char* check;
  std::vector<std::pair<std::string, std::string>> files;
  HostFacts host;
  Verdict verdict;
  const char* words;
};

// What each condition does to its row; all else is well.
std::vector<Case> conditions() {
  HostFacts late = healthy(), full = healthy(), closed = healthy(), unsteady = healthy();
  late.timers->p99_s = 0.02;
  full.place->free_bytes = 50'000'000;
  closed.place->trouble = "Permission denied";
  unsteady.ntp->synchronised = false;
  const std::string cpu = "/sys/devices/system/cpu/", group = "/sys/fs/cgroup";
  return {{"governor",
           {{cpu + "cpufreq/policy1/scaling_governor", "powersave"}},
           healthy(),
           Verdict::note,
           "performance on 1, powersave on 1"},
          {"turbo", {{cpu + "intel_pstate/no_turbo", "1"}}, healthy(), Verdict::ok, "off"},
          {"turbo", {{cpu + "cpufreq/boost", "1"}}, healthy(), Verdict::ok, "on"},
          {"clocks",
           {{"/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet"}},
           healthy(),
           Verdict::poor,
           "hpet"},
          {"clocks", {}, unsteady, Verdict::note, "in step"},
          {"timers", {}, late, Verdict::poor, "20 ms"},
          {"place for Runs", {}, full, Verdict::poor, "47.7 MiB"},
          {"place for Runs", {}, closed, Verdict::missing, "Permission denied"},
          {"perf events",
           {{"/proc/sys/kernel/perf_event_paranoid", "4"},
            {"/sys/bus/event_source/devices/power/events/energy-pkg", "event=0x02"}},
           healthy(),
           Verdict::note,
           "not for this user"},
          {"VM, container", {{"/proc/1/cgroup", "0::/docker/ab12\n"}}, healthy(), Verdict::note, "Docker"},
          {"VM, container", {{"/sys/hypervisor/type", "xen"}}, healthy(), Verdict::note, "a VM"},
          {"limits",
           {{"/proc/self/cgroup", "0::/a/b\n"},
            {group + "/a/cpu.max", "150000 100000"},
            {group + "/a/b/cpu.max", "max 100000"},
            {group + "/a/b/memory.max", "1073741824"}},
           healthy(),
           Verdict::note,
           "at most 1.5 CPUs for this cgroup: a longer run time may be the limit's; 1 GiB of memory"},
          {"limits",
           {{"/proc/self/cgroup", "0::/a\n"}, {group + "/a/cpu.max", "900000 100000"}},
           healthy(),
           Verdict::ok,
           "no cgroup limit"},
          {"limits",
           {{"/proc/self/cgroup", "3:cpu,cpuacct:/x\n"},
            {group + "/cpu/x/cpu.cfs_quota_us", "50000"},
            {group + "/cpu/x/cpu.cfs_period_us", "100000"}},
           healthy(),
           Verdict::note,
           "0.5 CPUs"},
          {"memory",
           {{"/proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable: 500000 kB\n"}},
           healthy(),
           Verdict::poor,
           "488 MiB of 15.3 GiB"},
          {"swap",
           {{"/proc/meminfo", "SwapTotal: 4194304 kB\nSwapFree: 2097152 kB\n"}},
           healthy(),
           Verdict::note,
           "2 GiB of 4 GiB in use"}};
}

TEST(DoctorChecks, EachConditionTurnsItsOwnRow) {
  for (const Case& one : conditions()) {
    SimulatedMachine machine;
    furnish(machine);
    for (const auto& [path, text] : one.files) machine.set_file(path, text);
    const Finding finding = finding_of(examine_simulated(machine, one.host), one.check);
    EXPECT_EQ(finding.verdict, one.verdict) << one.check << ": " << finding.text;
    EXPECT_NE(finding.text.find(one.words), std::string::npos) << one.check << ": " << finding.text;
  }
}

TEST(DoctorChecks, PagesThatMoveNowMakeSwapPoor) {
  SimulatedMachine machine;
  furnish(machine);
  machine.set_file("/proc/meminfo", "SwapTotal: 4000 kB\nSwapFree: 2000 kB\n");
  machine.set_file("/proc/vmstat", [](Instant at) {
    return std::string("pswpin 5\npswpout ") + (at.ns > 1'000'000'000 ? "13" : "10") + "\n";
  });
  const Finding swap = finding_of(examine_simulated(machine), "swap");
  EXPECT_EQ(swap.verdict, Verdict::poor);
  EXPECT_DOUBLE_EQ(number(swap, "pages_swapped_now"), 3);
}

}  // namespace
}  // namespace prony::doctor
