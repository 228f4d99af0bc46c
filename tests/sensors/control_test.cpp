// Sensors that also tell states: cpufreq, throttle, power_supply.
#include <gtest/gtest.h>

#include <cerrno>

#include "machine/simulated.hpp"
#include "seen.hpp"
#include "sensors/rows.hpp"
#include "sensors/state_watch.hpp"

namespace prony {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> told(Sensor& sensor) {
  std::vector<std::string> texts;
  for (const auto& event : sensor.changes()) texts.push_back(event.kind + " " + event.subject + ": " + event.text);
  return texts;
}

TEST(StateWatch, AChangeNamesBothStatesOnceAndEqualChangesAreOneEvent) {
  SimulatedMachine machine;
  StateWatch watch(machine, "kind");
  for (const std::string n : {"1", "2", "3"}) {
    machine.set_file("/sys/" + n, "powersave\n");
    EXPECT_TRUE(watch.add("cpu" + n, "governor", "/sys/" + n));
  }
  EXPECT_FALSE(watch.add("cpu4", "governor", "/sys/4"));
  EXPECT_THAT(watch.changes(), IsEmpty());
  machine.set_file("/sys/1", "performance\n");
  machine.set_file("/sys/3", "performance\n");
  const auto events = watch.changes();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].subject, "cpu1");
  EXPECT_EQ(events[0].text, "governor: powersave → performance (and 1 more alike)");
  EXPECT_THAT(watch.changes(), IsEmpty());
  machine.set_fault("/sys/1", EIO);  // kills: a bad moment told as a state
  EXPECT_THAT(watch.changes(), IsEmpty());
}

TEST(StateWatch, AStateThatNeverRestsIsToldAHundredTimesAndThenNoMore) {
  SimulatedMachine machine;
  machine.set_file("/sys/s", "0");
  StateWatch watch(machine, "kind");
  watch.add("s", "state", "/sys/s");
  std::size_t events = 0;
  std::string last;
  for (int i = 1; i < 300; ++i) {
    machine.set_file("/sys/s", std::to_string(i));
    for (const auto& event : watch.changes()) {
      ++events;
      last = event.text;
    }
  }
  EXPECT_EQ(events, 101u);
  EXPECT_THAT(last, HasSubstr("more changes"));
}

void add_policies(SimulatedMachine& machine, int count) {
  for (int i = 0; i < count; ++i) {
    const auto folder = "/sys/devices/system/cpu/cpufreq/policy" + std::to_string(i);
    machine.set_file(folder + "/scaling_cur_freq", std::to_string(1'000'000 + i * 1000));
    machine.set_file(folder + "/scaling_max_freq", "3500000");
    machine.set_file(folder + "/cpuinfo_max_freq", "3500000");
    machine.set_file(folder + "/scaling_governor", "powersave");
  }
}

TEST(Cpufreq, HundredsOfPoliciesAreThreeChannelsUnlessEachIsAskedFor) {
  SimulatedMachine machine;
  add_policies(machine, 512);
  auto probe = make_cpufreq(machine, {});
  EXPECT_THAT(seen(probe), ElementsAre("cpufreq.cpus-lowest.frequency=1000000", "cpufreq.cpus-mean.frequency=1254000",
                                       "cpufreq.cpus-highest.frequency=1508000"));
  // Kills: a CPU that was switched off counted with 0 Hz.
  machine.remove("/sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq");
  EXPECT_THAT(seen(probe)[0], "cpufreq.cpus-lowest.frequency=1004000");
  EXPECT_EQ(seen(make_cpufreq(machine, {.every_channel = true})).size(), 511u);
}

TEST(Cpufreq, AnotherGovernorIsAnEvent) {
  SimulatedMachine machine;
  add_policies(machine, 2);
  machine.set_file("/sys/devices/system/cpu/intel_pstate/no_turbo", "0");
  const auto probe = make_cpufreq(machine, {});
  EXPECT_THAT(told(*probe.sensor), IsEmpty());
  machine.set_file("/sys/devices/system/cpu/cpufreq/policy1/scaling_governor", "performance");
  machine.set_file("/sys/devices/system/cpu/intel_pstate/no_turbo", "1");
  EXPECT_THAT(told(*probe.sensor), ElementsAre("clock-control cpufreq.policy1: governor: powersave → performance",
                                               "clock-control cpufreq: no_turbo: 0 → 1"));
}

struct Heat : ::testing::Test {
  Heat() {
    for (int cpu = 0; cpu < 4; ++cpu) {  // two cores of two threads: both threads show the core's count
      const auto folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu);
      machine.set_file(folder + "/topology/core_id", std::to_string(cpu % 2));
      machine.set_file(folder + "/topology/physical_package_id", "0");
      machine.set_file(folder + "/thermal_throttle/core_throttle_count", std::to_string(10 + cpu % 2));
      machine.set_file(folder + "/thermal_throttle/core_throttle_total_time_ms", "5");
      machine.set_file(folder + "/thermal_throttle/package_throttle_count", "30");
    }
  }
  void heat(int count) {
    machine.set_file("/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count", std::to_string(count));
  }
  SimulatedMachine machine;
};

// Kills: threads of one core counted as two.
TEST_F(Heat, ACoreAndAPackageCountOnceHoweverManyThreadsShowThem) {
  EXPECT_THAT(seen(make_throttle(machine, {})),
              ElementsAre("throttle.package-0.count=30", "throttle.cores.count=21", "throttle.cores.time=10"));
}

TEST_F(Heat, ThrottlingIsToldWhenItBeginsAndWhenItIsOver) {
  const auto probe = make_throttle(machine, {});
  (void)seen(probe);
  EXPECT_THAT(told(*probe.sensor), IsEmpty());  // kills: what happened before the Run told as the Run's
  for (int i = 0; i < 5; ++i) {
    heat(31 + i);
    (void)seen(probe);
    const auto texts = told(*probe.sensor);
    if (i == 0) {
      EXPECT_THAT(texts, ElementsAre(HasSubstr("slowed by heat")));
    } else {
      EXPECT_THAT(texts, IsEmpty());
    }
  }
  std::vector<std::string> all;
  for (int i = 0; i < 20; ++i) {
    (void)seen(probe);
    for (const auto& text : told(*probe.sensor)) all.push_back(text);
  }
  EXPECT_THAT(all, ElementsAre("throttle throttle.package-0: no longer slowed by heat, after 5 times"));
}

TEST(Throttle, LimitsBelowTheHardwaresAreCountedAndTheirChangeIsAnEventWithItsReason) {
  SimulatedMachine machine;
  add_policies(machine, 2);
  machine.set_file("/sys/class/powercap/intel-rapl:0/name", "package-0");
  machine.set_file("/sys/class/powercap/intel-rapl:0/constraint_0_name", "long_term");
  machine.set_file("/sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw", "15000000");
  const auto probe = make_throttle(machine, {});
  EXPECT_THAT(seen(probe), ElementsAre("throttle.clock-limited.policies=0"));
  machine.set_file("/sys/devices/system/cpu/cpufreq/policy1/scaling_max_freq", "2000000");
  machine.set_file("/sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw", "10000000");
  EXPECT_THAT(seen(probe), ElementsAre("throttle.clock-limited.policies=1"));
  EXPECT_THAT(told(*probe.sensor),
              ElementsAre("limit throttle.policy1: largest clock allowed: 3.5 GHz → 2 GHz",
                          "limit throttle.package-0: long_term power limit of intel-rapl:0: 15 W → 10 W"));
  SimulatedMachine none;
  EXPECT_THAT(make_throttle(none, {}).unavailable.at(0).reason, HasSubstr("no throttling"));
}

// Bug: only the first 16 policies are counted, so that a second socket that is held down is not seen.
TEST(Throttle, EveryPolicyIsCountedAndHowManyAreWatchedIsSaid) {
  SimulatedMachine machine;
  add_policies(machine, 40);
  const auto probe = make_throttle(machine, {});
  ASSERT_EQ(probe.notes.size(), 1u);
  EXPECT_THAT(probe.notes[0].reason, HasSubstr("of 40 policies, 40 are counted and 16 looked at"));
  for (int i = 20; i < 40; ++i)
    machine.set_file("/sys/devices/system/cpu/cpufreq/policy" + std::to_string(i) + "/scaling_max_freq", "2000000");
  EXPECT_THAT(seen(probe), ElementsAre("throttle.clock-limited.policies=20"));
  EXPECT_THAT(told(*probe.sensor), ElementsAre(HasSubstr("(and 7 more alike)")));
  SimulatedMachine small;
  add_policies(small, 16);
  EXPECT_THAT(make_throttle(small, {}).notes, IsEmpty());
}

struct Battery : ::testing::Test {
  Battery() {
    set("type", "Battery");
    set("status", "Discharging");
    set("power_now", "4830000");
    set("energy_now", "49450000");
    set("capacity", "98");
    machine.set_file("/sys/class/power_supply/AC/type", "Mains");
    machine.set_file("/sys/class/power_supply/AC/online", "0");
  }
  void set(const std::string& file, const std::string& text) {
    machine.set_file("/sys/class/power_supply/BAT0/" + file, text + "\n");
  }
  SimulatedMachine machine;
};

TEST_F(Battery, PowerDrawnIsPositiveAndEnergyLeftIsNoEnergyUsed) {
  const auto probe = make_power_supply(machine, {});
  EXPECT_THAT(seen(probe), ElementsAre("power_supply.AC.online=0", "power_supply.BAT0.energy_left=49450000",
                                       "power_supply.BAT0.charge=98", "power_supply.BAT0.power=4830000"));
  EXPECT_EQ(channel_named(probe, "power_supply.BAT0.energy_left")->measure, Measure::stored_energy);
  EXPECT_DOUBLE_EQ(channel_named(probe, "power_supply.BAT0.energy_left")->scale, 3600e-6);
  EXPECT_EQ(channel_named(probe, "power_supply.BAT0.charge")->scale, 0.01);
  EXPECT_FALSE(channel_named(probe, "power_supply.BAT0.power")->coverage_known);
  EXPECT_EQ(channel_named(probe, "power_supply.BAT0.power")->update_period, Duration{0});
}

// Kills: the driver's sign believed. Half of them write the size alone, some a negative number for discharging.
TEST_F(Battery, TheSignIsThatOfTheStatusWhateverTheDriverWrites) {
  const auto probe = make_power_supply(machine, {});
  const auto power = [&](const char* status, const char* value) {
    set("status", status);
    set("power_now", value);
    return seen(probe).back();
  };
  EXPECT_EQ(power("Discharging", "-5"), "power_supply.BAT0.power=5");
  EXPECT_EQ(power("Charging", "5"), "power_supply.BAT0.power=-5");
  EXPECT_EQ(power("Charging", "-5"), "power_supply.BAT0.power=-5");
  EXPECT_EQ(power("Full", "0"), "power_supply.BAT0.power=0");
  EXPECT_EQ(power("Full", "7"), "power_supply.BAT0.power=-7");
  EXPECT_EQ(power("Unknown", "-7"), "power_supply.BAT0.power=7");
  EXPECT_EQ(power("Unknown", "7"), "power_supply.BAT0.power=gap");
  EXPECT_EQ(power("Not charging", "7"), "power_supply.BAT0.power=gap");
  EXPECT_EQ(power("Discharging", "-9223372036854775808"), "power_supply.BAT0.power=gap");
}

TEST_F(Battery, PluggingInIsAnEvent) {
  const auto probe = make_power_supply(machine, {});
  machine.set_file("/sys/class/power_supply/AC/online", "1");
  set("status", "Charging");
  EXPECT_THAT(told(*probe.sensor), ElementsAre("power-supply power_supply.AC: power: not connected → connected",
                                               "power-supply power_supply.BAT0: status: Discharging → Charging"));
}

TEST_F(Battery, WhereOnlyVoltageCurrentAndChargeAreTheyAreMultiplied) {
  for (const char* file : {"power_now", "energy_now"})
    machine.remove(std::string("/sys/class/power_supply/BAT0/") + file);
  set("voltage_now", "12000000");
  set("voltage_min_design", "11000000");
  set("current_now", "1500000");
  set("charge_now", "2000000");
  const auto probe = make_power_supply(machine, {});
  EXPECT_THAT(seen(probe), ::testing::Contains("power_supply.BAT0.power=18000000"));  // 12 V × 1.5 A in µW
  const auto* left = channel_named(probe, "power_supply.BAT0.energy_left");
  EXPECT_DOUBLE_EQ(left->scale * 2'000'000, 2.0 * 11 * 3600);  // 2 Ah at 11 V
  EXPECT_EQ(left->origin, Origin::derived);
  EXPECT_EQ(channel_named(probe, "power_supply.BAT0.power")->origin, Origin::derived);
}

TEST_F(Battery, AMousesBatteryAndAnEmptySlotAreNotTheMachines) {
  set("scope", "Device");
  EXPECT_EQ(seen(make_power_supply(machine, {})).size(), 1u);
  set("scope", "System");
  set("present", "0");
  const auto probe = make_power_supply(machine, {});
  EXPECT_EQ(seen(probe).size(), 1u);
  EXPECT_THAT(probe.unavailable.at(0).reason, HasSubstr("not there"));
}

}  // namespace
}  // namespace prony
