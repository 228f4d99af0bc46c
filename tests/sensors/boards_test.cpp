// Boards with INA3221 chips, by the labels that their device trees give: rails are found wherever the kernel numbers
// the chip, by name and never by place, and power is millivolts times milliamperes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine/simulated.hpp"
#include "seen.hpp"
#include "sensors/report.hpp"
#include "sensors/rows.hpp"

namespace prony {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

struct Rail {
  std::string label;  // empty: the device tree names none
  int millivolts, milliamperes;
};

// One chip with three inputs, as the kernel's ina3221 shows it; shunts of 5 mΩ.
void add_ina3221(SimulatedMachine& machine, int hwmon, const std::string& device, const std::vector<Rail>& rails) {
  const std::string chip = "/sys/class/hwmon/hwmon" + std::to_string(hwmon) + "/";
  machine.set_file(chip + "name", "ina3221\n");
  machine.set_link("/sys/class/hwmon/hwmon" + std::to_string(hwmon) + "/device", "../../../" + device);
  for (std::size_t i = 0; i < rails.size(); ++i) {
    const std::string n = std::to_string(i + 1), shunt = std::to_string(i + 4);
    machine.set_file(chip + "in" + n + "_input", std::to_string(rails[i].millivolts) + "\n");
    machine.set_file(chip + "curr" + n + "_input", std::to_string(rails[i].milliamperes) + "\n");
    machine.set_file(chip + "in" + shunt + "_input", std::to_string(rails[i].milliamperes * 5) + "\n");
    machine.set_file(chip + "shunt" + n + "_resistor", "5000\n");
    if (!rails[i].label.empty()) machine.set_file(chip + "in" + n + "_label", rails[i].label + "\n");
  }
}

// Kills: a rail taken for another because it stands first; a fixed hwmon number; a total added to what is behind it.
TEST(Boards, RailsOfEveryJetsonAreFoundByLabelWhateverTheirNumberAndNestBelowTheInput) {
  SimulatedMachine orin_nano;
  add_ina3221(orin_nano, 7, "1-0040", {{"VDD_IN", 5000, 1096}, {"VDD_CPU_GPU_CV", 5000, 200}, {"VDD_SOC", 5000, 300}});
  EXPECT_THAT(seen(make_hwmon(orin_nano, {})), ElementsAre("hwmon.ina3221.VDD_IN.power=5480000",
                                                           "hwmon.ina3221.VDD_CPU_GPU_CV.power=1000000<ina3221-VDD_IN",
                                                           "hwmon.ina3221.VDD_SOC.power=1500000<ina3221-VDD_IN"));

  SimulatedMachine agx_orin;  // two chips, no rail that holds all others
  add_ina3221(agx_orin, 4, "1-0040",
              {{"VDD_GPU_SOC", 19000, 100}, {"VDD_CPU_CV", 19000, 50}, {"VIN_SYS_5V0", 5000, 900}});
  add_ina3221(agx_orin, 3, "1-0041", {{"NC", 0, 0}, {"VDDQ_VDD2_1V8AO", 1800, 400}, {"NC", 0, 0}});
  EXPECT_THAT(seen(make_hwmon(agx_orin, {})),
              UnorderedElementsAre("hwmon.ina3221@1-0040.VDD_GPU_SOC.power=1900000",
                                   "hwmon.ina3221@1-0040.VDD_CPU_CV.power=950000",
                                   "hwmon.ina3221@1-0040.VIN_SYS_5V0.power=4500000",
                                   "hwmon.ina3221@1-0041.VDDQ_VDD2_1V8AO.power=720000"));

  SimulatedMachine xavier;
  add_ina3221(xavier, 1, "1-0040", {{"GPU", 19000, 10}, {"CPU", 19000, 20}, {"SOC", 19000, 30}});
  add_ina3221(xavier, 2, "1-0041", {{"CV", 19000, 1}, {"VDDRQ", 19000, 2}, {"SYS5V", 5000, 3}});
  EXPECT_EQ(seen(make_hwmon(xavier, {})).size(), 6u);

  SimulatedMachine nano;
  add_ina3221(nano, 0, "6-0040", {{"POM_5V_CPU", 5000, 100}, {"POM_5V_IN", 5000, 500}, {"POM_5V_GPU", 5000, 80}});
  EXPECT_THAT(seen(make_hwmon(nano, {})), ElementsAre("hwmon.ina3221.POM_5V_CPU.power=500000<ina3221-POM_5V_IN",
                                                      "hwmon.ina3221.POM_5V_IN.power=2500000",
                                                      "hwmon.ina3221.POM_5V_GPU.power=400000<ina3221-POM_5V_IN"));

  SimulatedMachine unknown;  // no labels: three rails of which nobody knows what they feed
  add_ina3221(unknown, 9, "0-0042", {{"", 12000, 1000}, {"", 3300, 10}, {"", 5000, 20}});
  const auto probe = make_hwmon(unknown, {});
  EXPECT_THAT(seen(probe), ElementsAre("hwmon.ina3221.in1.power=12000000", "hwmon.ina3221.in2.power=33000",
                                       "hwmon.ina3221.in3.power=100000"));
  for (const Channel& channel : probe.sensor->channels()) EXPECT_FALSE(channel.coverage_known);
}

// Kills: mV for V, and a step of a microwatt claimed for a chip that counts in 8 mA: shunts are read in steps of 40 µV.
TEST(Boards, FiveVoltsTimesOnePoint096AmperesAre5Point48WattsInStepsOf40Milliwatts) {
  SimulatedMachine machine;
  add_ina3221(machine, 0, "1-0040", {{"VDD_IN", 5000, 1096}, {"VDD_19V", 19000, 1096}, {"", 1, 1}});
  const auto probe = make_hwmon(machine, {});
  const Channel* const rail = channel_named(probe, "hwmon.ina3221.VDD_IN.power");
  ASSERT_NE(rail, nullptr);
  Reading readings[3];
  probe.sensor->read(readings);
  EXPECT_DOUBLE_EQ(static_cast<double>(readings[0].raw) * rail->scale, 5.480);
  EXPECT_NEAR(rail->resolution * rail->scale, 0.040, 1e-12);
  EXPECT_NEAR(channel_named(probe, "hwmon.ina3221.VDD_19V.power")->resolution * rail->scale, 0.152, 1e-12);
  EXPECT_GE(channel_named(probe, "hwmon.ina3221.in3.power")->resolution, 1);

  machine.remove("/sys/class/hwmon/hwmon0/shunt1_resistor");  // no resistor told: no step to reckon with but a count
  EXPECT_EQ(channel_named(make_hwmon(machine, {}), "hwmon.ina3221.VDD_IN.power")->resolution, 1);
}

}  // namespace
}  // namespace prony
