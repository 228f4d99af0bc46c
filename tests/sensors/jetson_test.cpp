// The jetson sensor: rails of the driver that old kernels had, tegrastats where nothing else shows a rail, loads, and
// what nvpmodel and jetson_clocks do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "machine/simulated.hpp"
#include "seen.hpp"
#include "sensors/jetson_files.hpp"
#include "sensors/machine_facts.hpp"
#include "sensors/rows.hpp"
#include "sensors/tegrastats.hpp"

namespace prony {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

void set_jetson(SimulatedMachine& machine, const std::string& model, const std::string& part, const std::string& chip) {
  machine.set_file("/sys/firmware/devicetree/base/model", model);
  machine.set_file("/sys/firmware/devicetree/base/compatible",
                   part + std::string(1, '\0') + chip + std::string(1, '\0'));
}

void add_iio(SimulatedMachine& machine, const std::string& chip, int device,
             const std::vector<std::pair<std::string, int>>& rails) {
  const auto folder = "/sys/bus/i2c/drivers/ina3221x/" + chip + "/iio:device" + std::to_string(device) + "/";
  for (std::size_t i = 0; i < rails.size(); ++i) {
    const auto n = std::to_string(i);
    machine.set_file(folder + "rail_name_" + n, rails[i].first + "\n");
    machine.set_file(folder + "in_power" + n + "_input", std::to_string(rails[i].second) + "\n");
    machine.set_file(folder + "in_voltage" + n + "_input", "5000\n");
    machine.set_file(folder + "in_current" + n + "_input", "1\n");
  }
}

// Kills: milliwatts taken for microwatts; parts added to the board's input; a disconnected input shown.
TEST(Jetson, RailsOfOldKernelsAreMilliwattsAndNestInTheBoardsInput) {
  SimulatedMachine nano;
  set_jetson(nano, "NVIDIA Jetson Nano Developer Kit", "nvidia,p3449-0000-b00+p3448-0000-b00", "nvidia,tegra210");
  add_iio(nano, "6-0040", 0, {{"POM_5V_IN", 1750}, {"POM_5V_GPU", 40}, {"POM_5V_CPU", 366}});
  const auto probe = make_jetson(nano, {});
  EXPECT_THAT(seen(probe), ElementsAre("jetson.POM_5V_IN.power=1750", "jetson.POM_5V_GPU.power=40<POM_5V_IN",
                                       "jetson.POM_5V_CPU.power=366<POM_5V_IN"));
  const Channel* const whole = channel_named(probe, "jetson.POM_5V_IN.power");
  ASSERT_NE(whole, nullptr);
  EXPECT_DOUBLE_EQ(whole->scale * 1750, 1.75);
  EXPECT_TRUE(whole->coverage_known);
  EXPECT_EQ(whole->device, "6-0040");

  SimulatedMachine tx2;
  set_jetson(tx2, "quill", "nvidia,p2597-0000+p3310-1000", "nvidia,tegra186");
  add_iio(tx2, "0-0040", 0, {{"VDD_SYS_GPU", 153}, {"VDD_SYS_SOC", 306}, {"NC", 9}});
  add_iio(tx2, "0-0041", 1, {{"VDD_IN", 1649}, {"VDD_SYS_CPU", 306}, {"VDD_SYS_DDR", 173}});
  EXPECT_THAT(seen(make_jetson(tx2, {})),
              ElementsAre("jetson.VDD_SYS_GPU.power=153<VDD_IN", "jetson.VDD_SYS_SOC.power=306<VDD_IN",
                          "jetson.VDD_IN.power=1649", "jetson.VDD_SYS_CPU.power=306<VDD_IN",
                          "jetson.VDD_SYS_DDR.power=173<VDD_IN"));
}

TEST(Jetson, AnotherMachineSaysThatItIsNoneAndIsAskedNothing) {
  SimulatedMachine machine;
  machine.set_program("timeout", [](auto, auto) -> Result<ProgramOutput> {
    ADD_FAILURE() << "a program was run";
    return ProgramOutput{};
  });
  const auto probe = make_jetson(machine, {});
  EXPECT_EQ(probe.sensor, nullptr);
  ASSERT_EQ(probe.unavailable.size(), 1u);
  EXPECT_THAT(probe.unavailable[0].reason, HasSubstr("no Jetson"));
}

// Kills: the mean since tegrastats began taken for the power now; a fallback that runs although hwmon has the rails.
TEST(Jetson, TegrastatsIsAskedOnlyWhereNothingElseShowsARail) {
  SimulatedMachine machine;
  set_jetson(machine, "NVIDIA Jetson Orin Nano Developer Kit", "nvidia,p3768-0000+p3767-0005", "nvidia,tegra234");
  std::string line =
      "11-21-2026 12:00:01 RAM 2876/7620MB (lfb 4x4MB) SWAP 0/3810MB (cached 0MB) CPU [12%@1510,off] EMC_FREQ 1%@2133 "
      "GR3D_FREQ 14%@[407] cpu@47.2C tj@48.1C VDD_IN 5480mW/5000mW VDD_CPU_GPU_CV 1000mW/900mW VDD_SOC 1500mW/1400mW\n";
  machine.set_program("timeout", [&](auto words, auto) -> Result<ProgramOutput> {
    EXPECT_EQ(words[2], "tegrastats");
    return ProgramOutput{line, {}, 124};
  });
  auto probe = make_jetson(machine, {});
  EXPECT_THAT(seen(probe), ElementsAre("jetson.VDD_IN.power=5480", "jetson.VDD_CPU_GPU_CV.power=1000<VDD_IN",
                                       "jetson.VDD_SOC.power=1500<VDD_IN"));
  EXPECT_EQ(probe.sensor->lane(), LaneKind::blocking);
  EXPECT_GT(probe.sensor->channels()[0].averaging_window.ns, 0);
  // A line that lost a rail is a gap of that rail and no zero; a program that fails, one of all with its reason.
  line = "RAM 1/2MB VDD_IN 6000mW/5000mW\n";
  EXPECT_THAT(seen(probe), ElementsAre("jetson.VDD_IN.power=6000", "jetson.VDD_CPU_GPU_CV.power=gap<VDD_IN",
                                       "jetson.VDD_SOC.power=gap<VDD_IN"));
  line = "tegrastats: cannot open shared object\n";
  EXPECT_THAT(seen(probe)[0], "jetson.VDD_IN.power=gap");
  const auto complaints = probe.sensor->complaints();
  ASSERT_EQ(complaints.size(), 1u);
  EXPECT_THAT(complaints[0].reason, HasSubstr("tegrastats"));
  EXPECT_THAT(probe.sensor->complaints(), IsEmpty());

  const std::string chip = "/sys/class/hwmon/hwmon1/";
  machine.set_file(chip + "name", "ina3221");
  machine.set_file(chip + "curr1_input", "1");
  machine.set_program("timeout", [](auto, auto) -> Result<ProgramOutput> {
    ADD_FAILURE() << "a program was run";
    return ProgramOutput{};
  });
  EXPECT_EQ(make_jetson(machine, {}).sensor, nullptr);
}

TEST(Jetson, NoRailAnywhereIsNotZeroWattsButAReasonWithWhatMendsIt) {
  SimulatedMachine machine;
  set_jetson(machine, "NVIDIA Jetson Nano Developer Kit", "nvidia,p3448-0000", "nvidia,tegra210");
  const auto probe = make_jetson(machine, {});
  ASSERT_FALSE(probe.unavailable.empty());
  EXPECT_THAT(probe.unavailable[0].reason, HasSubstr("no rail of this Jetson can be read"));
  EXPECT_THAT(probe.unavailable[0].remedy, HasSubstr("modprobe ina3221"));
}

SimulatedMachine& orin(SimulatedMachine& machine) {
  set_jetson(machine, "NVIDIA Jetson Orin Nano Developer Kit", "nvidia,p3768-0000+p3767-0005", "nvidia,tegra234");
  machine.set_file("/sys/class/hwmon/hwmon1/name", "ina3221");
  machine.set_file("/sys/class/hwmon/hwmon1/curr1_input", "1");
  machine.set_file("/sys/devices/platform/bus@0/17000000.gpu/load", "375\n");
  machine.set_file("/sys/class/devfreq/17000000.gpu/cur_freq", "306000000\n");
  machine.set_file("/sys/class/devfreq/17000000.gpu/min_freq", "306000000\n");
  machine.set_file("/sys/class/devfreq/17000000.gpu/max_freq", "624750000\n");
  machine.set_file("/sys/class/hwmon/hwmon2/name", "pwmfan\n");
  machine.set_file("/sys/class/hwmon/hwmon2/pwm1", "51\n");
  machine.set_file("/sys/devices/system/cpu/cpufreq/policy0/scaling_min_freq", "729600\n");
  machine.set_file("/sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq", "1510400\n");
  machine.set_file("/sys/kernel/debug/cactmon/mc_all", "21330000\n");
  machine.set_file("/sys/kernel/debug/bpmp/debug/clk/emc/rate", "2133000000\n");
  machine.set_file("/var/lib/nvpmodel/status", "pmode:0002 fmode:quiet\n");
  machine.set_file(
      "/etc/nvpmodel.conf",
      "# < POWER_MODEL ID=2 NAME=WRONG >\n< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n");
  machine.set_file("/etc/nv_tegra_release", "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n");
  return machine;
}

// Kills: 375 read as a percent; a memory load in percent where thousandths are promised.
TEST(Jetson, LoadsOfGpuAndMemoryAreFractionsAndTheFansDutyToo) {
  SimulatedMachine machine;
  const auto probe = make_jetson(orin(machine), {});
  EXPECT_THAT(seen(probe), ElementsAre("jetson.gpu-load.fraction=375", "jetson.gpu-clock.frequency=306000000",
                                       "jetson.fan-duty.fraction=51", "jetson.memory-load.fraction=100"));
  EXPECT_DOUBLE_EQ(channel_named(probe, "jetson.gpu-load.fraction")->scale, 1e-3);
  EXPECT_NEAR(channel_named(probe, "jetson.fan-duty.fraction")->scale * 51, 0.2, 1e-12);
  EXPECT_NEAR(channel_named(probe, "jetson.memory-load.fraction")->scale * 100, 0.1, 1e-12);  // 10 %
  EXPECT_EQ(channel_named(probe, "jetson.memory-load.fraction")->origin, Origin::derived);
}

// Kills: a load of 4000 % from a kernel that counts in another unit; a division by a clock of 0.
TEST(Jetson, AMemoryLoadThatNoMemoryHasIsNone) {
  EXPECT_EQ(jetson_memory_load(21'330'000, 2'133'000'000), 100);
  EXPECT_EQ(jetson_memory_load(0, 2'133'000'000), 0);
  EXPECT_EQ(jetson_memory_load(213'300'000, 2'133'000'000), 1000);
  EXPECT_EQ(jetson_memory_load(215'000'000, 2'133'000'000), std::nullopt);
  EXPECT_EQ(jetson_memory_load(1, 0), std::nullopt);
  EXPECT_EQ(jetson_memory_load(INT64_MAX, 1), std::nullopt);
  EXPECT_EQ(jetson_memory_load(-1, 1), std::nullopt);
}

TEST(Jetson, TheMemorysLoadThatOnlyRootMayReadIsNamedWithWhatMendsIt) {
  SimulatedMachine machine;
  orin(machine);
  machine.set_fault("/sys/kernel/debug/cactmon/mc_all", EACCES);
  const auto probe = make_jetson(machine, {});
  EXPECT_THAT(probe.unavailable, IsEmpty());  // few need it: no sensor is poor without it
  ASSERT_EQ(probe.notes.size(), 1u);
  EXPECT_THAT(probe.notes[0].reason, HasSubstr("/sys/kernel/debug"));
  EXPECT_THAT(probe.notes[0].remedy, HasSubstr("root"));
}

TEST(Jetson, PowerModeClocksAndReleaseAreFactsAndTheirChangesEvents) {
  SimulatedMachine machine;
  orin(machine);
  Manifest manifest;
  describe_jetson(machine, manifest);
  EXPECT_EQ(manifest.get("machine.l4t_release"), "L4T 36.4.3");
  EXPECT_EQ(manifest.get("machine.power_mode"), "MAXN_SUPER (mode 2)");
  EXPECT_EQ(manifest.get("machine.clocks_held"), "no");
  EXPECT_EQ(manifest.get("machine.module"), "Jetson Orin Nano / NX");

  const auto probe = make_jetson(machine, {});
  EXPECT_THAT(probe.sensor->changes(), IsEmpty());
  machine.set_file("/var/lib/nvpmodel/status", "pmode:0000 fmode:quiet\n");
  machine.set_file("/sys/devices/system/cpu/cpufreq/policy0/scaling_min_freq", "1510400\n");
  machine.set_file("/sys/class/devfreq/17000000.gpu/min_freq", "624750000\n");
  const auto changes = probe.sensor->changes();
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].text, "power mode (nvpmodel): MAXN_SUPER (mode 2) → 15W (mode 0)");
  EXPECT_EQ(changes[1].text, "clocks held (jetson_clocks): no → yes");
}

TEST(Tegrastats, RailsOfEveryReleaseAreFoundAndNothingElseIs) {
  const auto rails = [](std::string_view line) {
    std::vector<std::string> found;
    std::size_t at = 0;
    while (const auto rail = next_tegrastats_rail(line, at))
      found.push_back(std::string(rail->label) + "=" + std::to_string(rail->now_mw) + "/" +
                      std::to_string(rail->mean_mw));
    return found;
  };
  EXPECT_THAT(rails("RAM 1404/7860MB (lfb 236x4MB) SWAP 0/3930MB (cached 0MB) CPU [0%@345,0%@960] EMC_FREQ 0% "
                    "GR3D_FREQ 0% PLL@35.5C thermal@34.1C VDD_SYS_GPU 153/150 VDD_SYS_SOC 306/306 VDD_4V0_WIFI 0/0 "
                    "VDD_IN 1649/1600 VDD_SYS_CPU 306/306 VDD_SYS_DDR 173/173"),
              ElementsAre("VDD_SYS_GPU=153/150", "VDD_SYS_SOC=306/306", "VDD_4V0_WIFI=0/0", "VDD_IN=1649/1600",
                          "VDD_SYS_CPU=306/306", "VDD_SYS_DDR=173/173"));
  EXPECT_THAT(rails("IRAM 0/252kB(lfb 252kB) APE 25 AO@45C POM_5V_IN 1750/1628 POM_5V_GPU 0/0 POM_5V_CPU 366/406"),
              ElementsAre("POM_5V_IN=1750/1628", "POM_5V_GPU=0/0", "POM_5V_CPU=366/406"));
  EXPECT_THAT(rails("GPU 311/311 CPU 622/622 SOC 933/933 CV 0/0 VDDRQ 155/155 SYS5V 1374/1374"),
              ElementsAre("GPU=311/311", "CPU=622/622", "SOC=933/933", "CV=0/0", "VDDRQ=155/155", "SYS5V=1374/1374"));
  EXPECT_THAT(rails("SOC1@68.968C CV2@67.25C VDD_GPU_SOC 3150mW/2971mW VDD_CPU_CV 14312mW/12415mW VIN_SYS_5V0 "
                    "4968mW/5048mW VDDQ_VDD2_1V8AO 1091mW/1091mW"),
              ElementsAre("VDD_GPU_SOC=3150/2971", "VDD_CPU_CV=14312/12415", "VIN_SYS_5V0=4968/5048",
                          "VDDQ_VDD2_1V8AO=1091/1091"));
  EXPECT_THAT(rails("VDD_GPU -392mW/10mW VDD_CPU_SOC_MSS 3924mW/3900mW VIN 23000mW/22000mW NEW_RAIL 7mW/8mW"),
              ElementsAre("VDD_GPU=-392/10", "VDD_CPU_SOC_MSS=3924/3900", "VIN=23000/22000", "NEW_RAIL=7/8"));
  // Not rails: another unit, half a value, an unknown name without a unit, a number beyond any board.
  EXPECT_THAT(
      rails("RAM 1/2MB FOO 1/2 VDD_IN 5W/6W VDD_IN 5mW/6 VDD_IN 5 VDD_IN /5 VDD_IN 99999999999mW/1mW vdd 1mW/1mW"),
      IsEmpty());
  EXPECT_THAT(rails(""), IsEmpty());
}

TEST(Tegrastats, LoadsAndTheLastWholeLineAreTold) {
  EXPECT_EQ(tegrastats_percent("EMC_FREQ 1%@2133 GR3D_FREQ 14%@[407,407]", "GR3D_FREQ"), 14);
  EXPECT_EQ(tegrastats_percent("EMC_FREQ 1%@2133 GR3D_FREQ 14%@[407,407]", "EMC_FREQ"), 1);
  EXPECT_EQ(tegrastats_percent("GR3D_FREQ 140%", "GR3D_FREQ"), std::nullopt);
  EXPECT_EQ(tegrastats_percent("GR3D_FREQ @1600", "GR3D_FREQ"), std::nullopt);
  EXPECT_EQ(tegrastats_percent("GR3D_FREQ", "GR3D_FREQ"), std::nullopt);
  EXPECT_EQ(last_tegrastats_line("VDD_IN 1mW/1mW\nVDD_IN 2mW/1mW\nTerminated\n\n"), "VDD_IN 2mW/1mW");
  EXPECT_EQ(last_tegrastats_line("no such thing\n"), "");
  EXPECT_EQ(last_tegrastats_line("\n\n"), "");
}

}  // namespace
}  // namespace prony
