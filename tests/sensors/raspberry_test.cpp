// raspberry: a firmware that answers through its device, through the poorer device, through vcgencmd, badly, and not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/text.hpp"
#include "machine/firmware_device.hpp"
#include "machine/simulated.hpp"
#include "seen.hpp"
#include "sensors/machine_facts.hpp"
#include "sensors/raspberry_firmware.hpp"
#include "sensors/report.hpp"
#include "sensors/rows.hpp"

namespace prony {
namespace {

// As published for one board (github.com/jfikar/RPi5-power): 10.7999 W in all, of which 9.7614 W are the core's. The
// figures below are of µA × µV, which is off from all digits by 5 µW at most.
const std::string rails =
    " 3V7_WL_SW_A current(0)=0.00000000A\n   3V3_SYS_A current(1)=0.06245952A\n   1V8_SYS_A current(2)=0.16102850A\n"
    "  DDR_VDD2_A current(3)=0.00780744A\n  DDR_VDDQ_A current(4)=0.00000000A\n   1V1_SYS_A current(5)=0.17566740A\n"
    "    0V8_SW_A current(6)=0.32791250A\n  VDD_CORE_A current(7)=10.87674000A\n   3V3_DAC_A current(17)=0.00036630A\n"
    "   3V3_ADC_A current(18)=0.00042735A\n   0V8_AON_A current(16)=0.00579975A\n      HDMI_A current(22)=0.01367520A\n"
    " 3V7_WL_SW_V volt(8)=3.79999600V\n   3V3_SYS_V volt(9)=3.30632200V\n   1V8_SYS_V volt(10)=1.79828900V\n"
    "  DDR_VDD2_V volt(11)=1.10292900V\n  DDR_VDDQ_V volt(12)=0.60476130V\n   1V1_SYS_V volt(13)=1.10439400V\n"
    "    0V8_SW_V volt(14)=0.80256330V\n  VDD_CORE_V volt(15)=0.89745940V\n   3V3_DAC_V volt(20)=3.30494200V\n"
    "   3V3_ADC_V volt(21)=3.30219400V\n   0V8_AON_V volt(19)=0.79736190V\n      HDMI_V volt(23)=5.07056000V\n"
    "     EXT5V_V volt(24)=5.06788000V\n      BATT_V volt(25)=3.01110800V\n";

using Answers = std::map<std::string, std::string, std::less<>>;
Answers five() {
  return {{"pmic_read_adc", rails},
          {"measure_temp", "temp=61.5'C"},
          {"measure_clock arm", "frequency(0)=2400023808"},
          {"measure_clock core", "frequency(1)=910007424"},
          {"measure_clock v3d", "frequency(46)=960012800"},
          {"measure_volts core", "volt=0.8974V"},
          {"get_throttled", "throttled=0x50000"},
          {"get_config arm_boost", "arm_boost=1"},
          {"version", "2024/09/23 14:02:56 \nCopyright"}};
}

class Raspberry : public ::testing::Test {
 protected:
  Raspberry() { machine.set_file("/sys/firmware/devicetree/base/model", "Raspberry Pi 5 Model B Rev 1.0"); }
  FirmwareAnswers firmware() {
    FirmwareAnswers all;
    all.command = [this](std::string_view command, Instant) -> std::optional<std::string> {
      const auto found = answers.find(command);
      return found == answers.end() ? std::nullopt : std::optional(found->second);
    };
    return all;
  }
  void commands_only() {
    auto all = firmware();
    all.commands_only = true;
    machine.set_device("/dev/vcio_gencmd", firmware_device(std::move(all)));
  }
  void every_tag() {
    auto all = firmware();
    all.tag = [this](std::uint32_t tag, std::uint32_t request, Instant) -> std::optional<std::uint32_t> {
      const auto found = tags.find(tag);
      if (found == tags.end()) return std::nullopt;
      if (tag == MailboxMessage::get_clock_measured && request != 3)  // each clock an answer of its own
        return request == 4 ? std::optional(910'000'000U) : request == 5 ? std::optional(960'000'000U) : std::nullopt;
      if (tag == MailboxMessage::get_throttled && request != 0) cleared = true;
      return found->second;
    };
    machine.set_device("/dev/vcio", firmware_device(std::move(all)));
  }
  void program() {
    machine.set_program("vcgencmd", [this](std::span<const std::string> words, Instant) -> Result<ProgramOutput> {
      std::string command;
      for (const auto& word : words.subspan(1)) command += (command.empty() ? "" : " ") + word;
      ++runs[command];
      if (slow) return fail(ErrorCode::transient, "did not end within 1000 ms and was killed", "vcgencmd");
      const auto found = answers.find(command);
      if (found == answers.end()) return ProgramOutput{"error=1 error_msg=\"Command not registered\"\n", "", 255};
      return ProgramOutput{found->second + "\n", "", 0};
    });
  }
  static std::string value(Sensor& sensor, std::string_view name) {
    std::vector<Reading> readings(sensor.channels().size());
    sensor.read(readings);
    for (std::size_t i = 0; i < readings.size(); ++i)
      if (sensor.channels()[i].name == name)
        return readings[i].quality == Quality::ok ? std::to_string(readings[i].raw) : "gap";
    return "absent";
  }

  SimulatedMachine machine;
  Answers answers = five();
  std::map<std::uint32_t, std::uint32_t> tags;
  std::map<std::string, int> runs;
  bool cleared = false, slow = false;
};

// Kills: rails paired by the order of the lines (3V3_DAC and 0V8_AON are told in another order as voltages), EXT5V or
// the battery in the sum, a rail left out.
TEST_F(Raspberry, RailsArePairedByNameAndSumUpToTheTwelve) {
  commands_only();
  const auto probe = make_raspberry(machine, {});
  ASSERT_NE(probe.sensor, nullptr);
  EXPECT_THAT(seen(probe),
              ::testing::ElementsAre("raspberry.rails.power=10799891", "raspberry.dram.power=8611<rails",
                                     "raspberry.3v7-wl-sw.power=0<rails", "raspberry.3v3-sys.power=206513<rails",
                                     "raspberry.1v8-sys.power=289577<rails", "raspberry.ddr-vdd2.power=8611<dram",
                                     "raspberry.ddr-vddq.power=0<dram", "raspberry.1v1-sys.power=194006<rails",
                                     "raspberry.0v8-sw.power=263171<rails", "raspberry.core.power=9761428<rails",
                                     "raspberry.3v3-dac.power=1210<rails", "raspberry.3v3-adc.power=1410<rails",
                                     "raspberry.0v8-aon.power=4625<rails", "raspberry.hdmi.power=69340<rails",
                                     "raspberry.ext5v.voltage=5067880"));
  for (const auto& channel : probe.sensor->channels())
    EXPECT_TRUE(channel.measure != Measure::power || channel.origin == Origin::derived) << channel.name;
}

TEST_F(Raspberry, TheOrderOfTheRowsDoesNotMatter) {
  commands_only();
  const auto before = make_raspberry(machine, {});
  const auto first = value(*before.sensor, "raspberry.rails.power");
  std::vector<std::string> rows;
  for_each_line(rails, [&](std::string_view line) { rows.emplace_back(line); });
  std::reverse(rows.begin(), rows.end());
  std::swap(rows[3], rows[17]);
  answers["pmic_read_adc"].clear();
  for (const auto& row : rows) answers["pmic_read_adc"] += row + "\n";
  EXPECT_EQ(value(*before.sensor, "raspberry.rails.power"), first);
  EXPECT_EQ(value(*make_raspberry(machine, {}).sensor, "raspberry.core.power"), "9761428");
}

// Kills: a sum of the rest where a rail is missing, and a rail's last value kept.
TEST_F(Raspberry, ASumThatLacksARailIsAGapWithTheReasonAndTheOtherRailsGoOn) {
  commands_only();
  const auto probe = make_raspberry(machine, {});
  auto& text = answers["pmic_read_adc"];
  text.resize(text.find("      HDMI_V"));  // an answer cut short
  EXPECT_EQ(value(*probe.sensor, "raspberry.rails.power"), "gap");
  EXPECT_EQ(value(*probe.sensor, "raspberry.hdmi.power"), "gap");
  EXPECT_EQ(value(*probe.sensor, "raspberry.core.power"), "9761428");
  const auto complaints = probe.sensor->complaints();
  ASSERT_EQ(complaints.size(), 1U);
  EXPECT_EQ(complaints[0].reason, "/dev/vcio_gencmd: the answer to pmic_read_adc lacks a rail it had");
  EXPECT_TRUE(probe.sensor->complaints().empty());
}

// Kills: the estimate in the headline (coverage known), or made without having been asked for.
TEST_F(Raspberry, TheWallEstimateIsAskedForDerivedAddedToNothingAndSaysWhereItComesFrom) {
  commands_only();
  EXPECT_EQ(channel_named(make_raspberry(machine, {}), "raspberry.wall-estimate.power"), nullptr);
  const auto probe = make_raspberry(machine, {.wall_estimate = true});
  EXPECT_EQ(value(*probe.sensor, "raspberry.wall-estimate.power"),
            std::to_string(12'954'855));  // 1.1451 × 10.799891 + 0.5879
  const auto* channel = channel_named(probe, "raspberry.wall-estimate.power");
  ASSERT_NE(channel, nullptr);
  EXPECT_FALSE(channel->coverage_known);
  EXPECT_EQ(channel->origin, Origin::derived);
  EXPECT_TRUE(std::any_of(probe.notes.begin(), probe.notes.end(), [](const Unavailable& note) {
    return note.subject == "raspberry.wall-estimate" &&
           note.reason.find("github.com/jfikar/RPi5-power") != std::string::npos &&
           note.reason.find("between 1.4 and 14.7 W") != std::string::npos;
  }));
}

TEST_F(Raspberry, TheRailsStandForTheProcessorSoThatNothingIsModelledBesideThem) {
  commands_only();
  const auto probe = make_raspberry(machine, {.wall_estimate = true});
  EXPECT_TRUE(measures_cpu_energy(probe.sensor->channels(), {}));
  const auto* const estimate = channel_named(probe, "raspberry.wall-estimate.power");
  EXPECT_FALSE(measures_cpu_energy(std::span(estimate, 1), {}));
}

TEST_F(Raspberry, AnAcceleratorThatNoRailFeedsIsSaidNotToBeSeen) {
  commands_only();
  machine.set_file("/sys/bus/pci/devices/0001:01:00.0/vendor", "0x1e60");
  machine.set_file("/sys/bus/pci/devices/0002:01:00.0/vendor", "0x1de4");
  const auto probe = make_raspberry(machine, {});
  ASSERT_EQ(probe.unavailable.size(), 1U);
  EXPECT_EQ(probe.unavailable[0].subject, "raspberry.hailo");
  EXPECT_EQ(
      probe.unavailable[0].reason,
      "the Hailo accelerator at 0001:01:00.0 is not visible to the board's rails: what it draws is in none of them");
}

// Kills: a device that opens and answers nothing kept, while a better way stands beside it.
TEST_F(Raspberry, ADeviceThatOpensAndDoesNotAnswerIsPassedOverForOneThatDoes) {
  machine.set_device("/dev/vcio", [](unsigned long, std::span<std::byte>, Instant) { return -ENOTTY; });
  program();
  EXPECT_EQ(open_firmware(machine).value()->name(), "vcgencmd");
  commands_only();
  EXPECT_EQ(open_firmware(machine).value()->name(), "/dev/vcio_gencmd");
}

TEST_F(Raspberry, ABoardWithoutRailsSaysSoAndWhatWorksInstead) {
  machine.set_file("/sys/firmware/devicetree/base/model", "Raspberry Pi 4 Model B Rev 1.1");
  answers.erase("pmic_read_adc");
  every_tag();
  tags = {{MailboxMessage::get_temperature, 48'200}};
  const auto probe = make_raspberry(machine, {});
  ASSERT_EQ(probe.unavailable.size(), 1U);
  EXPECT_EQ(probe.unavailable[0].subject, "raspberry.rails");
  EXPECT_EQ(
      probe.unavailable[0].reason,
      "the PMIC of this board tells no rails (only a Raspberry Pi 5, 500 and Compute Module 5 have one that does); it "
      "says: Command not registered");
  EXPECT_FALSE(probe.unavailable[0].remedy.empty());
  EXPECT_THAT(seen(probe),
              ::testing::ElementsAre("raspberry.soc.temperature=48200", "raspberry.core-requested.voltage=897400"));
}

// Kills: a tag read at the wrong word, an unanswered tag read as its request, the sticky bits cleared by asking.
TEST_F(Raspberry, OneMessageGivesTheConditions) {
  every_tag();
  tags = {{MailboxMessage::get_temperature, 61'743},
          {MailboxMessage::get_clock_measured, 2'400'033'792U},
          {MailboxMessage::get_throttled, 0x50005}};
  const auto probe = make_raspberry(machine, {});
  ASSERT_EQ(probe.more.size(), 1U);
  EXPECT_EQ(value(*probe.more[0], "raspberry.soc.temperature"), "61743");
  EXPECT_EQ(value(*probe.more[0], "raspberry.arm.frequency"), "2400033792");
  EXPECT_EQ(value(*probe.more[0], "raspberry.core.frequency"), "910000000");
  EXPECT_EQ(value(*probe.more[0], "raspberry.v3d.frequency"), "960000000");
  EXPECT_EQ(value(*probe.more[0], "raspberry.core-requested.voltage"), "897400");
  EXPECT_EQ(value(*probe.more[0], "raspberry.throttled.reasons"), "2");
  EXPECT_FALSE(cleared);
  tags.erase(MailboxMessage::get_clock_measured);
  EXPECT_EQ(value(*probe.more[0], "raspberry.arm.frequency"), "gap");
}

TEST_F(Raspberry, ThePoorerDeviceGivesTheSameByCommands) {
  commands_only();
  const auto probe = make_raspberry(machine, {});
  ASSERT_EQ(probe.more.size(), 1U);
  EXPECT_EQ(value(*probe.more[0], "raspberry.soc.temperature"), "61500");
  EXPECT_EQ(value(*probe.more[0], "raspberry.arm.frequency"), "2400023808");
  EXPECT_EQ(value(*probe.more[0], "raspberry.core.frequency"), "910007424");
  EXPECT_EQ(value(*probe.more[0], "raspberry.v3d.frequency"), "960012800");
  EXPECT_EQ(value(*probe.more[0], "raspberry.throttled.reasons"), "0");
}

// Kills: what was since boot told as new, and a reason that came and went between two looks lost.
TEST_F(Raspberry, ThrottlingIsToldWhenItBeginsEndsAndWhenItWasMissed) {
  commands_only();
  const auto probe = make_raspberry(machine, {});
  auto& conditions = *probe.more[0];
  const auto look = [&](const std::string& word) {
    answers["get_throttled"] = "throttled=" + word;
    value(conditions, "");
    std::vector<std::string> words;
    for (const auto& event : conditions.changes()) words.push_back(event.text);
    return words;
  };
  EXPECT_THAT(look("0x50000"), ::testing::IsEmpty());
  EXPECT_THAT(look("0xd0008"),
              ::testing::ElementsAre("the firmware holds the board back: none → soft temperature limit"));
  EXPECT_THAT(look("0xd0008"), ::testing::IsEmpty());
  EXPECT_THAT(look("0xd0000"),
              ::testing::ElementsAre("the firmware holds the board back: soft temperature limit → none"));
  EXPECT_THAT(look("0xf0000"), ::testing::ElementsAre("came and went between two looks: clock capped"));
}

TEST_F(Raspberry, WithoutADeviceVcgencmdIsRunOffTheTickAndNeverOnIt) {
  program();
  const auto probe = make_raspberry(machine, {});
  ASSERT_NE(probe.sensor, nullptr);
  EXPECT_EQ(probe.sensor->pace(), milliseconds(1000));
  EXPECT_EQ(probe.sensor->channels()[0].update_period, milliseconds(1250));
  const int before = runs["pmic_read_adc"];
  EXPECT_EQ(value(*probe.sensor, "raspberry.rails.power"), "10799891");
  EXPECT_EQ(value(*probe.sensor, "raspberry.rails.power"), "10799891");
  EXPECT_EQ(runs["pmic_read_adc"], before);
  answers["pmic_read_adc"] = "VDD_CORE_A current(7)=1.0A\n";
  EXPECT_EQ(value(*probe.sensor, "raspberry.core.power"), "9761428");
  (void)probe.sensor->changes();
  EXPECT_EQ(runs["pmic_read_adc"], before + 1);
  EXPECT_EQ(value(*probe.sensor, "raspberry.core.power"), "gap");
}

// Kills: an answer that is an hour old told as what holds now.
TEST_F(Raspberry, AnAnswerOfVcgencmdThatIsOlderThanThreeSecondsIsAGapWithTheReason) {
  program();
  const auto probe = make_raspberry(machine, {});
  slow = true;
  machine.advance(milliseconds(3000));
  EXPECT_EQ(value(*probe.sensor, "raspberry.core.power"), "9761428");
  machine.advance(milliseconds(1));
  EXPECT_EQ(value(*probe.sensor, "raspberry.core.power"), "gap");
  (void)probe.sensor->changes();
  const auto complaints = probe.sensor->complaints();
  ASSERT_EQ(complaints.size(), 1U);
  EXPECT_EQ(complaints[0].reason, "vcgencmd: did not end within 1000 ms and was killed");
}

TEST_F(Raspberry, ADeviceThatFailsIsAGapWithItsErrnoAndComesBack) {
  commands_only();
  const auto probe = make_raspberry(machine, {});
  machine.set_fault("/dev/vcio_gencmd", EIO);
  EXPECT_EQ(value(*probe.sensor, "raspberry.rails.power"), "gap");
  const auto complaints = probe.sensor->complaints();
  ASSERT_EQ(complaints.size(), 1U);
  EXPECT_EQ(complaints[0].reason, "/dev/vcio_gencmd: cannot ask the firmware: Input/output error");
  machine.set_fault("/dev/vcio_gencmd", 0);
  EXPECT_EQ(value(*probe.sensor, "raspberry.rails.power"), "10799891");
}

TEST_F(Raspberry, WhoMayNotOpenTheDeviceIsToldWhichGroupMay) {
  machine.set_fault("/dev/vcio", EACCES);
  machine.set_fault("/dev/vcio_gencmd", EACCES);
  const auto probe = make_raspberry(machine, {});
  EXPECT_EQ(probe.sensor, nullptr);
  ASSERT_EQ(probe.unavailable.size(), 1U);
  EXPECT_EQ(probe.unavailable[0].reason, "/dev/vcio: cannot open: Permission denied");
  EXPECT_EQ(probe.unavailable[0].remedy, "sudo usermod -aG video $USER   (then log in again)");
}

TEST(RaspberryElsewhere, AMachineThatIsNoneSaysSoInOneLine) {
  SimulatedMachine machine;
  const auto probe = make_raspberry(machine, {});
  ASSERT_EQ(probe.unavailable.size(), 1U);
  EXPECT_EQ(probe.unavailable[0].reason, "not a Raspberry Pi");
}

TEST_F(Raspberry, TheManifestTellsTheBoardItsEepromItsBoostAndItsLinks) {
  commands_only();
  machine.set_file("/proc/cpuinfo", "processor\t: 0\nRevision\t: d04170\nSerial\t\t: 10000000deadbeef\n");
  const std::string tree = "/sys/firmware/devicetree/base/chosen/bootloader/";
  machine.set_file(tree + "build-timestamp", std::string("\x66\xf1\x6b\x20", 4));  // 1 727 097 632: ends as white space
  machine.set_file(tree + "version", "26826259deadbeef");
  machine.set_file("/sys/bus/pci/devices/0001:00:00.0/class", "0x060400");
  machine.set_file("/sys/bus/pci/devices/0001:00:00.0/current_link_speed", "8.0 GT/s PCIe");
  machine.set_file("/sys/bus/pci/devices/0001:01:00.0/class", "0x120000");
  machine.set_file("/sys/bus/pci/devices/0001:01:00.0/current_link_speed", "8.0 GT/s PCIe");
  machine.set_file("/sys/bus/pci/devices/0001:01:00.0/current_link_width", "1");
  machine.set_file("/sys/bus/pci/devices/0002:01:00.0/class", "0x020000");
  machine.set_file("/sys/bus/pci/devices/0002:01:00.0/current_link_speed", "5.0 GT/s PCIe");
  Manifest manifest;
  describe_raspberry(machine, manifest);
  EXPECT_EQ(manifest.get("machine.board_revision"),
            "Raspberry Pi 5 Model B, revision 1.0, 8 GiB, BCM2712, made by Sony UK (0xd04170)");
  EXPECT_EQ(manifest.get("machine.eeprom"), "2024-09-23, 26826259");
  EXPECT_EQ(manifest.get("machine.firmware"), "2024/09/23 14:02:56");
  EXPECT_EQ(manifest.get("machine.boost"), "on (arm_boost=1)");
  EXPECT_EQ(manifest.get("machine.held_back_since_boot"), "under-voltage, throttled");
  EXPECT_EQ(manifest.get("machine.pcie_links"),
            "0001:01:00.0 generation 3, 8.0 GT/s PCIe, x1; 0002:01:00.0 generation 2, 5.0 GT/s PCIe");
  for (const auto& fact : manifest.facts) EXPECT_EQ(fact.value.find("deadbeef"), std::string::npos) << fact.key;
}

// Kills: a message that the kernel refuses (a tag longer than the message, a size that is not the message's).
TEST(RaspberryMessage, IsLaidOutAsThePropertyInterfaceSays) {
  MailboxMessage message;
  message.begin();
  const std::array id{MailboxMessage::arm_clock};
  EXPECT_EQ(message.add(MailboxMessage::get_clock_measured, 8, id), 5U);
  EXPECT_EQ(message.add(MailboxMessage::get_throttled, 4, {}), 10U);
  const auto bytes = message.finish();
  const std::vector<std::uint32_t> intended{12 * 4, 0, 0x30047, 8, 0, 3, 0, 0x30046, 4, 0, 0, 0};
  ASSERT_EQ(bytes.size(), intended.size() * 4);
  for (std::size_t i = 0; i < intended.size(); ++i) EXPECT_EQ(message.word(i), intended[i]) << i;
  message.begin();
  const auto at = message.add_command("get_throttled");
  EXPECT_EQ(message.finish().size(), 4U * (at + 1025 + 1));
  EXPECT_EQ(message.text(at, "get_throttled"), "");  // nobody has answered
}

}  // namespace
}  // namespace prony
