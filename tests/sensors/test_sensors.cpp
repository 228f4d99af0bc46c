#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "kept_machine.hpp"
#include "machine/simulated.hpp"
#include "seen.hpp"
#include "sensors/busy_time.hpp"
#include "sensors/machine_facts.hpp"
#include "sensors/report.hpp"
#include "sensors/rows.hpp"

namespace prony {
namespace {

using ::testing::ElementsAre;

TEST(Hwmon, ShuntAndSumInputsOfAnIna3221AreNeverVoltagesAndRailsNest) {
  const auto machine = kept_machine("jetson-like");
  const auto probe = make_hwmon(*machine, {});
  EXPECT_THAT(seen(probe), ElementsAre("hwmon.ina3221.VDD_IN.power=6000000",
                                       "hwmon.ina3221.VDD_CPU_GPU_CV.power=1503000<ina3221-VDD_IN",
                                       "hwmon.ina3221.VDD_SOC.power=1004000<ina3221-VDD_IN"));
  for (const auto& channel : probe.sensor->channels()) {
    EXPECT_EQ(channel.origin, Origin::derived);
    EXPECT_FALSE(channel.coverage_known);
    EXPECT_EQ(channel.update_period, milliseconds(20));
  }
}

TEST(Hwmon, CoreCountersOfAmdEnergyStayOffUnlessAskedForAndThenLieInTheSocket) {
  const auto machine = kept_machine("amd-1-socket");
  EXPECT_THAT(seen(make_hwmon(*machine, {})), ElementsAre("hwmon.amd_energy.Esocket0.energy=99"));
  EXPECT_THAT(
      seen(make_hwmon(*machine, {.every_channel = true})),
      ElementsAre("hwmon.amd_energy.Ecore000.energy=11<amd_energy-Esocket0",
                  "hwmon.amd_energy.Ecore001.energy=12<amd_energy-Esocket0", "hwmon.amd_energy.Esocket0.energy=99"));
}

TEST(Hwmon, VoltagesAndCurrentsComeOnRequestAndShuntsAreMicrovolts) {
  const auto machine = kept_machine("jetson-like");
  const auto probe = make_hwmon(*machine, {.every_channel = true});
  EXPECT_DOUBLE_EQ(channel_named(probe, "hwmon.ina3221.VDD_IN.voltage")->scale, 1e-3);
  EXPECT_DOUBLE_EQ(channel_named(probe, "hwmon.ina3221.in4.voltage")->scale, 1e-6);
  EXPECT_DOUBLE_EQ(channel_named(probe, "hwmon.ina3221.curr4.current")->scale, 1e-3);
  EXPECT_EQ(seen(probe).size(), 3u + 7u + 4u);
}

// Kills: a second pretended to be known, which no driver said.
TEST(Hwmon, APeriodThatNobodyDocumentsIsNotKnown) {
  SimulatedMachine machine;
  const std::string chip = "/sys/class/hwmon/hwmon0/";
  machine.set_file(chip + "name", "mychip");
  machine.set_file(chip + "power1_input", "42");
  machine.set_file(chip + "energy1_input", "42");
  const auto probe = make_hwmon(machine, {});  // owns the channels
  for (const auto& channel : probe.sensor->channels()) EXPECT_EQ(channel.update_period, Duration{0});
}

TEST(Hwmon, WhatAReadingIsTheMeanOfIsToldWhereTheDriverTellsIt) {
  const auto window = [](const std::string& name, const std::string& file, const std::string& text,
                         const std::string& interval_ms = "35") {
    SimulatedMachine machine;
    const std::string chip = "/sys/class/hwmon/hwmon0/";
    machine.set_file(chip + "name", name);
    machine.set_file(chip + "update_interval", interval_ms);
    machine.set_file(chip + "power1_average", "42");
    machine.set_file(chip + "in1_input", "42");
    machine.set_file(chip + "curr1_input", "42");
    if (name != "acpi") machine.remove(chip + "power1_average");
    if (name == "ina226") machine.set_file(chip + "power1_input", "7");
    machine.set_file(chip + file, text);
    return make_hwmon(machine, {}).sensor->channels()[0].averaging_window;
  };
  EXPECT_EQ(window("ina3221", "samples", "1"), Duration{0});
  // Linux 6.2 shows the time of one sample: 35 ms taken for the mean's would deny 64 times that. Older ones show all.
  EXPECT_EQ(window("ina3221", "samples", "64"), milliseconds(64 * 35));
  EXPECT_EQ(window("ina3221", "samples", "64", "422"), milliseconds(422));
  EXPECT_EQ(window("ina226", "x", "1"), milliseconds(35));
  EXPECT_EQ(window("acpi", "power1_average_interval", "3000"), milliseconds(3000));
  EXPECT_EQ(window("other", "x", "1"), Duration{0});
}

TEST(HwmonClimate, TheCoresOfALargeProcessorStayOffWhereItsPackageIsMeasured) {
  SimulatedMachine machine;
  const std::string chip = "/sys/class/hwmon/hwmon0/";
  machine.set_file(chip + "name", "coretemp");
  machine.set_file(chip + "temp1_input", "50000");
  machine.set_file(chip + "temp1_label", "Package id 0");
  for (int core = 0; core < 64; ++core) {
    machine.set_file(chip + "temp" + std::to_string(core + 2) + "_input", "49000");
    machine.set_file(chip + "temp" + std::to_string(core + 2) + "_label", "Core " + std::to_string(core));
  }
  EXPECT_THAT(seen(make_hwmon_climate(machine, {})), ElementsAre("hwmon.coretemp.Package-id-0.temperature=50000"));
  EXPECT_EQ(seen(make_hwmon_climate(machine, {.every_channel = true})).size(), 65u);
}

TEST(Hwmon, AnAverageIsPowerToo) {
  const auto machine = kept_machine("laptop");
  EXPECT_THAT(seen(make_hwmon(*machine, {})), ElementsAre("hwmon.amdgpu.PPT.power=8000000"));
}

TEST(Hwmon, PowerIsPartOfTheEnergyCounterOfItsChip) {
  SimulatedMachine machine;
  machine.set_file("/sys/class/hwmon/hwmon0/name", "ltc4282");
  machine.set_file("/sys/class/hwmon/hwmon0/energy1_input", "18446744073709551610");
  machine.set_file("/sys/class/hwmon/hwmon0/power1_input", "42");
  machine.set_file("/sys/class/hwmon/hwmon0/in1_input", "12000");
  machine.set_file("/sys/class/hwmon/hwmon0/curr1_input", "3");
  EXPECT_THAT(seen(make_hwmon(machine, {})),
              ElementsAre("hwmon.ltc4282.energy1.energy=-6", "hwmon.ltc4282.power1.power=42<ltc4282-energy1"));
}

TEST(Hwmon, TwoChipsOfOneKindAreToldApartByTheirDevice) {
  SimulatedMachine machine;
  for (const std::string n : {"0", "1"}) {
    machine.set_file("/sys/class/hwmon/hwmon" + n + "/name", "nvme");
    machine.set_file("/sys/class/hwmon/hwmon" + n + "/temp1_input", "3" + n + "000");
    machine.set_link("/sys/class/hwmon/hwmon" + n + "/device", "../../nvme" + n);
  }
  EXPECT_THAT(seen(make_hwmon_climate(machine, {})),
              ElementsAre("hwmon.nvme@nvme0.temp1.temperature=30000", "hwmon.nvme@nvme1.temp1.temperature=31000"));
}

TEST(Climate, TemperaturesFansZonesAndClocksAreRead) {
  const auto laptop = kept_machine("laptop"), board = kept_machine("jetson-like");
  EXPECT_THAT(seen(make_hwmon_climate(*laptop, {})),
              ElementsAre("hwmon.coretemp.Package-id-0.temperature=52000", "hwmon.nvme.Composite.temperature=38850"));
  EXPECT_THAT(seen(make_hwmon_climate(*board, {})), ElementsAre("hwmon.pwmfan.fan1.fan_speed=2400"));
  EXPECT_THAT(seen(make_thermal(*laptop, {})),
              ElementsAre("thermal.acpitz-0.temperature=45000", "thermal.acpitz-1.temperature=-5000"));
  EXPECT_THAT(seen(make_cpufreq(*board, {})), ElementsAre("cpufreq.policy0.frequency=1510400"));
}

TEST(Busy, WaitingStolenAndGuestTimeAreNotCountedTwiceOrAtAll) {
  EXPECT_EQ(busy_ticks_of_proc_stat("cpu  100 20 30 4000 500 6 7 8 9 0\ncpu0"), 163);
  EXPECT_EQ(busy_usec_of_cpu_stat("usage_usec 999\nuser_usec 10\nsystem_usec 5\nnice_usec 3\n"), 15);
  for (const auto* bad : {"", "cpu", "cpu0 1 2 3 4 5 6 7\n", "cpu  1 2 3", "cpu  1 2 -3 4 5 6 7 8\n", "cpu  a\n"})
    EXPECT_FALSE(busy_ticks_of_proc_stat(bad)) << bad;
  for (const auto* bad : {"", "user_usec 1", "user_usec 1\nsystem_usec 2", "user_usec x\nsystem_usec 1\n"})
    EXPECT_FALSE(busy_usec_of_cpu_stat(bad)) << bad;
}

TEST(Busy, AContainersOwnGroupIsNotTakenForTheMachine) {
  SimulatedMachine machine;
  machine.set_file("/proc/stat", "cpu  1 0 0 0 0 0 0 0 0 0\n");
  machine.set_file("/sys/fs/cgroup/cgroup.procs", "");
  machine.set_file("/sys/fs/cgroup/cpu.stat", "usage_usec 3\nuser_usec 1\nsystem_usec 2\n");
  EXPECT_EQ(BusyTime::open(machine)->path(), "/sys/fs/cgroup/cpu.stat");
  machine.set_file("/sys/fs/cgroup/cgroup.events", "populated 1\n");
  EXPECT_EQ(BusyTime::open(machine)->path(), "/proc/stat");
}

TEST(Busy, ItAndTheStandInReadTheSameCounter) {
  const auto machine = kept_machine("intel-2-sockets");
  EXPECT_THAT(seen(make_cpu(*machine, {})), ElementsAre("cpu.busy=163"));
  const auto probe = make_cpu_model(*machine, {});
  EXPECT_THAT(seen(probe), ElementsAre("cpu-model.cpu.power=163"));
  const auto& channel = probe.sensor->channels()[0];
  EXPECT_EQ(channel.origin, Origin::modelled);
  EXPECT_EQ(channel.scale, 0.01);
  ASSERT_TRUE(channel.model);
  EXPECT_EQ(channel.model->cpus, 64);
}

TEST(Memory, UsedAndAvailableMakeTheTotal) {
  const auto machine = kept_machine("laptop");
  EXPECT_THAT(seen(make_memory(*machine, {})), ElementsAre("memory.used=2048000000", "memory.available=6144000000"));
  SimulatedMachine odd;
  odd.set_file("/proc/meminfo", "MemTotal: 10 kB\nMemAvailable: 20 kB\n");
  EXPECT_EQ(make_memory(odd, {}).sensor, nullptr);
}

TEST(Catalogue, NamesAreUniqueAndAMachineWithNothingSaysWhyForEachRow) {
  const auto machine = kept_machine("nothing");
  std::vector<std::string_view> names;
  for (const auto& row : sensor_catalogue()) {
    EXPECT_EQ(std::count(names.begin(), names.end(), row.name), 0);
    names.push_back(row.name);
    const auto probe = row.make(*machine, {});
    EXPECT_TRUE(probe.sensor || !probe.unavailable.empty()) << row.name;
  }
}

TEST(Report, SaysWhatIsReadyWhatIsNotAndFitsTheWidth) {
  for (const std::string name : {"intel-2-sockets", "laptop", "jetson-like", "nothing"}) {
    const auto machine = kept_machine(name);
    const auto reports = probe_sensors(*machine, {});
    for (const std::size_t width : {60u, 80u, 100u, 200u}) {
      const auto text = sensors_text(reports, width);
      for_each_line(text, [&](std::string_view line) {
        // One path may be longer than a narrow line: it is kept whole.
        const bool path = line.find('/') != std::string_view::npos;
        EXPECT_TRUE(path || display_width(line) <= width) << width << ": " << line;
      });
    }
    const auto json = nlohmann::json::parse(sensors_json(reports));
    ASSERT_EQ(json["sensors"].size(), sensor_catalogue().size());
    for (const auto& sensor : json["sensors"])
      EXPECT_TRUE(!sensor["channels"].empty() || !sensor["unavailable"].empty()) << sensor["name"];
    const bool measured = name == "intel-2-sockets" || name == "laptop";
    EXPECT_TRUE(reports.back().in_use) << name << ": kept counters do not move";
    EXPECT_EQ(reports[0].state, measured ? SensorState::ready : SensorState::not_here) << name;
  }
}

TEST(Facts, WhatIsNotKnownIsLeftOut) {
  Manifest manifest;
  const auto machine = kept_machine("nothing");
  describe_machine(*machine, manifest);
  EXPECT_FALSE(manifest.get("machine.cpu_model"));
  EXPECT_TRUE(manifest.get("machine.cpus"));
  SimulatedMachine arm;
  arm.set_file("/proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n");
  arm.set_file("/proc/sys/kernel/hostname", "pi\n");
  describe_machine(arm, manifest);
  EXPECT_EQ(manifest.get("machine.cpu_model"), "Arm implementer 0x41 part 0xd0c");
  EXPECT_EQ(manifest.get("machine.hostname"), "pi");
  EXPECT_FALSE(manifest.get("machine.virtual"));
}

}  // namespace
}  // namespace prony
