// Hailo accelerators. Kills: a chip that is not there whose library is loaded all the same, temperatures of no sample
// taken for 0 °C, power added up wrongly or in another unit, a protection switched off by measuring, a lost chip that
// draws nothing, a handle that is never given back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "machine/hailo_simulated.hpp"
#include "machine/simulated.hpp"
#include "sensors/rows.hpp"

namespace prony {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

struct HailoRig {
  explicit HailoRig(std::vector<SimulatedHailoChip> chips) {
    machine.set_now(Instant{5'000'000'000});
    for (const auto& chip : chips) machine.set_file("/sys/bus/pci/devices/" + chip.id + "/vendor", "0x1e60\n");
    hailo = std::make_shared<SimulatedHailo>(std::move(chips), [this] { return machine.now() - Instant{}; });
    table = hailo->table();
  }
  HailoRig(const HailoRig&) = delete;
  HailoRig& operator=(const HailoRig&) = delete;

  static SimulatedHailoChip module(const std::string& power) {
    SimulatedHailoChip chip;
    chip.power = PowerCurve::parse(power).value();
    return chip;
  }
  static SimulatedHailoChip evaluation_board(const std::string& power) {
    auto chip = module(power);
    chip.product = "HAILO-8 EVB";
    chip.measures_power = true;
    return chip;
  }
  void probe() {
    machine.set_library("libhailort.so", table);
    found = make_hailo(machine, {});
    sensors.clear();
    if (found.sensor) sensors.push_back(found.sensor.get());
    for (const auto& one : found.more) sensors.push_back(one.get());
  }
  std::map<std::string, Reading> read_at(double s) {
    machine.set_now(Instant{static_cast<std::int64_t>(s * 1e9)});
    std::map<std::string, Reading> all;
    for (Sensor* sensor : sensors) {
      std::vector<Reading> readings(sensor->channels().size());
      sensor->read(readings);
      for (std::size_t i = 0; i < readings.size(); ++i) all[sensor->channels()[i].name] = readings[i];
    }
    return all;
  }
  std::string said() const {
    std::string all;
    for (const auto* list : {&found.unavailable, &found.notes})
      for (const Unavailable& one : *list) all += one.subject + ": " + one.reason + "\n";
    return all;
  }
  std::string complaints() {
    std::string all;
    for (Sensor* sensor : sensors)
      for (const Unavailable& one : sensor->complaints()) all += one.subject + ": " + one.reason + "\n";
    return all;
  }
  std::string events() {
    std::string all;
    for (Sensor* sensor : sensors)
      for (const Event& event : sensor->changes()) all += event.kind + " " + event.subject + "\n";
    return all;
  }

  SimulatedMachine machine;
  std::shared_ptr<SimulatedHailo> hailo;
  LibraryTable table;
  Probe found;
  std::vector<Sensor*> sensors;
};

const std::string chip_0 = "hailo.hailo-0-chip-0.temperature", chip_1 = "hailo.hailo-0-chip-1.temperature",
                  chip_power = "hailo.hailo-0.power";

TEST(Hailo, BothTemperaturesOfAModuleAreReadAndItsPowerIsAbsentWithTheReason) {
  HailoRig rig({HailoRig::module("constant:2")});
  rig.probe();
  const auto now = rig.read_at(6);
  EXPECT_EQ(now.at(chip_0).raw, 56'000);  // 38 + 9 × 2 °C
  EXPECT_EQ(now.at(chip_1).raw, 56'750);
  EXPECT_EQ(rig.sensors.at(0)->channels()[0].scale, 1e-3);
  EXPECT_EQ(rig.sensors.at(0)->channels()[0].device, "0001:01:00.0");
  EXPECT_FALSE(now.contains(chip_power));
  EXPECT_THAT(rig.said(), HasSubstr("hailo.hailo-0.power: hailo-0: no power meter that can be read without harm: this "
                                    "board or firmware does not have it"));
  EXPECT_THAT(rig.said(), HasSubstr("HAILO-8L AI ACC M.2 B+M KEY MODULE EXT TMP) is kept awake"));
}

TEST(Hailo, AModulesOvercurrentProtectionIsNeverSwitchedOffToMeasure) {
  HailoRig rig({HailoRig::module("constant:2")});
  rig.probe();
  for (int i = 6; i < 20; ++i) (void)rig.read_at(i);
  EXPECT_EQ(rig.hailo->protection_switched_off(), 0);
}

TEST(Hailo, PowerOfAnEvaluationBoardIsTheSumOfItsThreeSupplies) {
  HailoRig rig({HailoRig::evaluation_board("square:1,3,2,0.5")});
  rig.probe();
  EXPECT_NEAR(static_cast<double>(rig.read_at(6.2).at(chip_power).raw), 3e6, 2);  // µW; single precision
  EXPECT_NEAR(static_cast<double>(rig.read_at(7.2).at(chip_power).raw), 1e6, 2);
  const auto channels = rig.sensors.at(0)->channels();
  EXPECT_EQ(channels[2].scale, 1e-6);
  EXPECT_EQ(channels[2].domain, "hailo-0");
  EXPECT_EQ(channels[2].kind, ChannelKind::gauge);
  EXPECT_EQ(rig.sensors.at(0)->lane(), LaneKind::blocking);
}

TEST(Hailo, AValueThatStandsForNothingIsAGapWithTheReasonAndNeverZero) {
  HailoRig rig({HailoRig::evaluation_board("constant:2")});
  rig.hailo->set_fault({SimulatedHailoFault::Kind::blank, milliseconds(8000), milliseconds(2000)});
  rig.probe();
  (void)rig.read_at(7);
  EXPECT_THAT(rig.complaints(), IsEmpty());
  for (const auto& [name, reading] : rig.read_at(9)) EXPECT_EQ(reading.quality, Quality::gap) << name;
  EXPECT_THAT(rig.complaints(), HasSubstr("a value that stands for nothing"));
  for (const auto& [name, reading] : rig.read_at(11)) EXPECT_EQ(reading.quality, Quality::ok) << name;
}

TEST(Hailo, ATemperatureThatNoChipCanHaveIsAGap) {
  HailoRig rig({HailoRig::module("square:2,20,2,0.5")});  // 218 °C
  rig.probe();
  EXPECT_EQ(rig.read_at(6.2).at(chip_0).quality, Quality::gap);
  EXPECT_EQ(rig.read_at(7.2).at(chip_0).raw, 56'000);
}

TEST(Hailo, PowerInAnotherUnitIsRefusedAndSaid) {
  auto chip = HailoRig::evaluation_board("constant:2");
  chip.microwatts = true;
  HailoRig rig({chip});
  rig.probe();
  EXPECT_FALSE(rig.read_at(6).contains(chip_power));
  EXPECT_THAT(rig.said(), HasSubstr("its power cannot be: 2000000.0 W"));
}

TEST(Hailo, ALostChipIsGapsAndIsFoundAgainByItsAddress) {
  HailoRig rig({HailoRig::module("constant:1")});
  rig.hailo->set_fault({SimulatedHailoFault::Kind::lost, milliseconds(8000), milliseconds(4000)});
  rig.probe();
  EXPECT_EQ(rig.read_at(7).at(chip_0).quality, Quality::ok);
  for (const double s : {8.5, 9.6, 10.7, 11.8}) EXPECT_EQ(rig.read_at(s).at(chip_0).quality, Quality::gap) << s;
  EXPECT_THAT(rig.complaints(), HasSubstr("hailo-0 at 0001:01:00.0: its driver failed; nothing of it is measured"));
  EXPECT_EQ(rig.hailo->open_handles(), 0);
  EXPECT_EQ(rig.read_at(13).at(chip_0).quality, Quality::ok);
  EXPECT_EQ(rig.events(), "sensor-back hailo.hailo-0\n");
  EXPECT_THAT(rig.complaints(), IsEmpty());
  EXPECT_EQ(rig.hailo->open_handles(), 1);
}

TEST(Hailo, WhatTheFirmwareRefusesIsAGapWithTheReasonAndTheChipIsNotGivenUp) {
  HailoRig rig({HailoRig::module("constant:1")});
  rig.hailo->set_fault({SimulatedHailoFault::Kind::error, milliseconds(8000), milliseconds(1000)});
  rig.probe();
  EXPECT_EQ(rig.read_at(8.5).at(chip_0).quality, Quality::gap);
  EXPECT_THAT(rig.complaints(), HasSubstr("hailo-0: its firmware refuses"));
  EXPECT_EQ(rig.read_at(9.1).at(chip_0).quality, Quality::ok);
  EXPECT_EQ(rig.events(), "");
}

TEST(Hailo, TheHandleIsGivenBack) {
  HailoRig rig({HailoRig::module("constant:1")});
  rig.probe();
  EXPECT_EQ(rig.hailo->open_handles(), 1);
  rig.found = {};
  EXPECT_EQ(rig.hailo->open_handles(), 0);
}

TEST(Hailo, SeveralChipsAreNumberedByTheirAddress) {
  auto first = HailoRig::module("constant:1"), second = HailoRig::module("constant:2");
  first.id = "0002:01:00.0";
  HailoRig rig({first, second});
  rig.probe();
  const auto now = rig.read_at(6);
  EXPECT_EQ(now.at("hailo.hailo-0-chip-0.temperature").raw, 56'000);  // 0001:01:00.0 draws 2 W
  EXPECT_EQ(now.at("hailo.hailo-1-chip-0.temperature").raw, 47'000);
}

TEST(Hailo, WhereNoChipIsOnTheBusTheLibraryIsNotEvenOpened) {
  HailoRig rig({});
  rig.machine.set_file("/sys/bus/pci/devices/0000:00:01.0/vendor", "0x10de\n");
  rig.table.add(
      "hailo_scan_devices", +[](void*, void*, hailo::DeviceId*, std::size_t*) -> hailo::Status {
        ADD_FAILURE() << "asked";
        return hailo::success;
      });
  rig.probe();
  EXPECT_EQ(rig.said(), "hailo: no Hailo accelerator on PCI Express\n");
}

TEST(Hailo, AMissingLibraryOrFunctionIsSaidAndTheRestIsRead) {
  HailoRig rig({HailoRig::module("constant:1")});
  rig.found = make_hailo(rig.machine, {});
  EXPECT_THAT(rig.said(), HasSubstr("libhailort.so is not there"));
  rig.table.functions.erase("hailo_power_measurement");
  rig.table.functions.erase("hailo_identify");
  rig.probe();
  EXPECT_TRUE(rig.read_at(6).contains(chip_0));
  EXPECT_THAT(rig.said(), HasSubstr("this HailoRT does not have the function"));
  rig.table.functions.erase("hailo_create_device_by_id");
  rig.probe();
  EXPECT_EQ(rig.found.sensor, nullptr);
  EXPECT_THAT(rig.said(), HasSubstr("is not the library that it is named after"));
}

TEST(Hailo, AChipThatCannotBeOpenedIsNamedWithTheReason) {
  HailoRig rig({HailoRig::module("constant:1")});
  rig.table.add(
      "hailo_create_device_by_id",
      +[](void*, const hailo::DeviceId*, hailo::Device*) -> hailo::Status { return hailo::open_failed; });
  rig.probe();
  EXPECT_EQ(rig.found.sensor, nullptr);
  EXPECT_THAT(rig.said(), HasSubstr("hailo-0 at 0001:01:00.0: its device file cannot be opened"));
  EXPECT_THAT(rig.said(), Not(HasSubstr("awake")));
}

}  // namespace
}  // namespace prony
