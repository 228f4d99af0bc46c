// Boards with INA3221 chips, by the labels that their device trees give: rails are found wherever the kernel numbers
// the chip, by name and never by place, and power is millivolts times milliamperes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/text.hpp"
#include "machine/simulated.hpp"
#include "seen.hpp"
#include "sensors/jetson_rails.hpp"
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

// The same with the device tree that says which board it is: what is the whole is known then.
void set_board(SimulatedMachine& machine, const std::string& model, const std::vector<std::string>& compatible) {
  machine.set_file("/sys/firmware/devicetree/base/model", model + std::string(1, '\0'));
  std::string texts;
  for (const auto& text : compatible) texts += text + std::string(1, '\0');
  machine.set_file("/sys/firmware/devicetree/base/compatible", texts);
}

struct Arranged {
  std::vector<std::string> outer, inside, unknown;  // labels; "part<whole"
  std::vector<Unavailable> notes;
  double outer_watts = 0;
};

Arranged arranged(SimulatedMachine& machine) {
  const auto probe = make_hwmon(machine, {});
  Arranged result;
  result.notes = probe.notes;
  if (!probe.sensor) return result;
  const auto channels = probe.sensor->channels();
  std::vector<Reading> readings(channels.size());
  probe.sensor->read(readings);
  const auto label = [](const Channel& channel) {
    const auto first = channel.name.find('.', 6) + 1;
    return channel.name.substr(first, channel.name.rfind('.') - first);
  };
  for (std::size_t i = 0; i < channels.size(); ++i) {
    const Channel& channel = channels[i];
    if (!channel.coverage_known) {
      result.unknown.push_back(label(channel));
    } else if (channel.part_of) {
      result.inside.push_back(label(channel) + "<" + label(channels[channel.part_of->value]));
    } else {
      result.outer.push_back(label(channel));
      result.outer_watts += static_cast<double>(readings[i].raw) * channel.scale;
    }
  }
  return result;
}

// Kills: VDDQ_VDD2_1V8AO counted beside the rail that feeds it; one of several rails side by side taken for the total
// (VIN_SYS_5V0 is the 5 V of inputs and outputs).
TEST(JetsonRails, OfAnAgxOrinThreeRailsTogetherAreTheModuleAndTheMemoryRailIsInsideOne) {
  SimulatedMachine orin;
  set_board(orin, "NVIDIA Jetson AGX Orin Developer Kit", {"nvidia,p3737-0000+p3701-0000", "nvidia,tegra234"});
  add_ina3221(orin, 4, "1-0041", {{"NC", 0, 0}, {"VDDQ_VDD2_1V8AO", 4968, 220}, {"NC", 0, 0}});
  add_ina3221(orin, 3, "1-0040", {{"VDD_GPU_SOC", 19000, 100}, {"VDD_CPU_CV", 19000, 50}, {"VIN_SYS_5V0", 5000, 900}});
  const auto rails = arranged(orin);
  EXPECT_THAT(rails.outer, UnorderedElementsAre("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"));
  EXPECT_THAT(rails.inside, ElementsAre("VDDQ_VDD2_1V8AO<VIN_SYS_5V0"));
  EXPECT_NEAR(rails.outer_watts, 1.9 + 0.95 + 4.5, 1e-9);
  EXPECT_TRUE(rails.notes.empty());
}

TEST(JetsonRails, OfAnAgxXavierAllSixRailsAreTheModule) {
  SimulatedMachine xavier;
  set_board(xavier, "Jetson-AGX", {"nvidia,galen", "nvidia,tegra194"});
  add_ina3221(xavier, 1, "1-0040", {{"GPU", 19000, 10}, {"CPU", 19000, 20}, {"SOC", 19000, 30}});
  add_ina3221(xavier, 2, "1-0041", {{"CV", 19000, 1}, {"VDDRQ", 19000, 2}, {"SYS5V", 5000, 3}});
  const auto rails = arranged(xavier);
  EXPECT_EQ(rails.outer.size(), 6u);
  EXPECT_TRUE(rails.inside.empty());
  EXPECT_NEAR(rails.outer_watts, 19 * 0.063 + 0.015, 1e-9);
}

// Kills: three rails of six sold as the module's total.
TEST(JetsonRails, AWholeThatIsNotCompleteIsNoWholeAndSaysWhatItWouldBe) {
  SimulatedMachine xavier;
  set_board(xavier, "Jetson-AGX", {"nvidia,p2822-0000+p2888-0001", "nvidia,tegra194"});
  add_ina3221(xavier, 1, "1-0040", {{"GPU", 19000, 10}, {"CPU", 19000, 20}, {"SOC", 19000, 30}});
  const auto rails = arranged(xavier);
  EXPECT_EQ(rails.unknown.size(), 3u);
  ASSERT_EQ(rails.notes.size(), 1u);
  EXPECT_THAT(rails.notes[0].reason, ::testing::HasSubstr("GPU+CPU+SOC+CV+VDDRQ+SYS5V"));
  EXPECT_FALSE(measures_cpu_energy(make_hwmon(xavier, {}).sensor->channels(), {}));
}

TEST(JetsonRails, OfATx2TheModuleIsInTheCarriersInputWhereThatIsMeasuredAndElseTheWholeItself) {
  SimulatedMachine module;
  set_board(module, "quill", {"nvidia,quill", "nvidia,p2597-0000+p3310-1000", "nvidia,tegra186"});
  add_ina3221(module, 1, "0-0040", {{"VDD_SYS_GPU", 19000, 10}, {"VDD_SYS_SOC", 19000, 20}, {"VDD_4V0_WIFI", 4800, 3}});
  add_ina3221(module, 2, "0-0041", {{"VDD_IN", 19000, 150}, {"VDD_SYS_CPU", 19000, 15}, {"VDD_SYS_DDR", 19000, 25}});
  auto rails = arranged(module);
  EXPECT_THAT(rails.outer, ElementsAre("VDD_IN"));
  EXPECT_EQ(rails.inside.size(), 5u);
  EXPECT_THAT(rails.inside, ::testing::Contains("VDD_SYS_DDR<VDD_IN"));

  add_ina3221(module, 3, "0-0042", {{"VDD_MUX", 19000, 300}, {"VDD_5V0_IO_SYS", 5000, 100}, {"VDD_3V3_SYS", 3300, 9}});
  rails = arranged(module);
  EXPECT_THAT(rails.outer, ElementsAre("VDD_MUX"));
  EXPECT_THAT(rails.inside, ::testing::Contains("VDD_IN<VDD_MUX"));
  EXPECT_THAT(rails.inside, ::testing::Contains("VDD_SYS_GPU<VDD_IN"));
}

// Kills: a Thor whose input monitor has no label and stands beside the rails that it feeds, so that they count twice.
TEST(JetsonRails, OfAThorTheIna238IsTheInputWithOrWithoutALabel) {
  for (const bool labelled : {true, false}) {
    SimulatedMachine thor;
    set_board(thor, "NVIDIA Jetson AGX Thor Developer Kit",
              {"nvidia,p4071-0000+p3834-0008", "nvidia,p3834-0008", "nvidia,tegra264"});
    add_ina3221(thor, 1, "2-0040",
                {{"VDD_GPU", 20000, 120}, {"VDD_CPU_SOC_MSS", 20000, 200}, {"VIN_SYS_5V0", 5000, 900}});
    const std::string chip = "/sys/class/hwmon/hwmon2/";
    for (const auto& [file, text] :
         std::initializer_list<std::pair<const char*, const char*>>{{"name", "ina238"},
                                                                    {"in0_input", "12"},
                                                                    {"in1_input", "20000"},
                                                                    {"curr1_input", "1150"},
                                                                    {"power1_input", "23000000"}})
      thor.set_file(chip + file, text);
    if (labelled) thor.set_file(chip + "label", "VIN");
    const auto rails = arranged(thor);
    EXPECT_THAT(rails.outer, ElementsAre("VIN"));
    EXPECT_THAT(rails.inside, UnorderedElementsAre("VDD_GPU<VIN", "VDD_CPU_SOC_MSS<VIN", "VIN_SYS_5V0<VIN"));
    EXPECT_NEAR(rails.outer_watts, 23, 1e-9);
    EXPECT_TRUE(measures_cpu_energy(make_hwmon(thor, {}).sensor->channels(), {}));
  }
}

TEST(JetsonRails, OfAJetsonThatNobodyKnowsTheRailsStandByTheirLabelsAndWhichIsTheWholeIsNotKnown) {
  SimulatedMachine unknown;
  set_board(unknown, "NVIDIA Jetson of Tomorrow", {"nvidia,p9999-0000", "nvidia,tegra999"});
  add_ina3221(unknown, 1, "1-0040", {{"VDD_FOO", 5000, 100}, {"VDD_BAR", 5000, 200}, {"", 5000, 300}});
  const auto rails = arranged(unknown);
  EXPECT_THAT(rails.unknown, UnorderedElementsAre("VDD_FOO", "VDD_BAR", "in3"));
  ASSERT_EQ(rails.notes.size(), 1u);
  EXPECT_THAT(rails.notes[0].reason, ::testing::HasSubstr("which rail is the whole is not known"));
  EXPECT_THAT(rails.notes[0].reason, ::testing::HasSubstr("NVIDIA Jetson of Tomorrow"));
}

// Kills: a second rail of the same name added to the first.
TEST(JetsonRails, OfTwoRailsOfOneNameTheSecondIsNotAdded) {
  SimulatedMachine nano;
  set_board(nano, "NVIDIA Jetson Orin Nano Developer Kit", {"nvidia,p3768-0000+p3767-0005", "nvidia,tegra234"});
  add_ina3221(nano, 1, "1-0040", {{"VDD_IN", 5000, 1000}, {"VDD_CPU_GPU_CV", 5000, 200}, {"VDD_SOC", 5000, 300}});
  add_ina3221(nano, 2, "1-0041", {{"VDD_IN", 5000, 1000}, {"ELSE", 5000, 1}, {"NC", 0, 0}});
  const auto rails = arranged(nano);
  EXPECT_THAT(rails.outer, ElementsAre("VDD_IN"));
  EXPECT_THAT(rails.unknown, UnorderedElementsAre("VDD_IN", "ELSE"));
}

TEST(JetsonRails, AModelsNameIsEnoughWhereTheDeviceTreeHasNoPartNumber) {
  for (const auto& [model, name] : std::initializer_list<std::pair<const char*, const char*>>{
           {"NVIDIA Jetson TX2 NX Developer Kit", "Jetson TX2 NX"},
           {"NVIDIA Jetson TX2 Developer Kit", "Jetson TX2"},
           {"NVIDIA Jetson Nano Developer Kit", "Jetson Nano"},
           {"NVIDIA Orin Nano Developer Kit", "Jetson Orin Nano / NX"},
           {"NVIDIA Jetson Xavier NX Developer Kit", "Jetson Xavier NX"},
           {"Jetson-AGX", "Jetson AGX Xavier"}}) {
    SimulatedMachine machine;
    set_board(machine, model, {});
    const JetsonBoard* board = jetson_board(machine);
    ASSERT_NE(board, nullptr) << model;
    EXPECT_EQ(board->name, name);
  }
  SimulatedMachine other;
  set_board(other, "Raspberry Pi 5 Model B Rev 1.0", {"raspberrypi,5-model-b", "brcm,bcm2712"});
  EXPECT_EQ(jetson_board(other), nullptr);
  EXPECT_FALSE(is_jetson(other));
}

// Kills: a row that names a rail inside one that the row does not have, or a whole of rails that it does not have.
TEST(JetsonRails, EveryRowOfTheTableIsCompleteInItselfAndCitesItsSource) {
  EXPECT_EQ(jetson_boards().size(), 9u);
  for (const JetsonBoard& board : jetson_boards()) {
    EXPECT_FALSE(board.source.empty()) << board.name;
    EXPECT_FALSE(board.covers.empty()) << board.name;
    const auto has = [&](std::string_view label) {
      return std::ranges::find(board.rails, label, &JetsonRail::label) != board.rails.end();
    };
    for (const JetsonRail& rail : board.rails) EXPECT_TRUE(rail.inside.empty() || has(rail.inside)) << rail.label;
    ASSERT_FALSE(board.wholes.empty());
    for (const auto whole : board.wholes)
      for (const auto label : split(whole, '+')) EXPECT_TRUE(has(label)) << board.name << " " << label;
  }
}

}  // namespace
}  // namespace prony
