// What the firmware of a Raspberry Pi says, read; and what is no answer, refused.
#include "sensors/raspberry_text.hpp"

#include <gtest/gtest.h>

namespace prony {
namespace {

TEST(RaspberryText, ARailsLineGivesItsNameAndMicroUnits) {
  const auto current = rail_line("  VDD_CORE_A current(7)=10.87674000A");
  ASSERT_TRUE(current);
  EXPECT_EQ(current->rail, "VDD_CORE");
  EXPECT_TRUE(current->is_current);
  EXPECT_EQ(current->micro, 10'876'740);
  const auto voltage = rail_line("DDR_VDDQ_V volt(12)=0.60476130V");
  ASSERT_TRUE(voltage);
  EXPECT_EQ(voltage->rail, "DDR_VDDQ");
  EXPECT_FALSE(voltage->is_current);
  EXPECT_EQ(voltage->micro, 604'761);  // rounded from 604 761.3
}

TEST(RaspberryText, ARailsLineMayBeWrittenInOtherWays) {
  for (const char* line :
       {"EXT5V_V volt(24)=5.0A", "EXT5V_V volt=5.0V", "EXT5V_V\tvolt (24) = 5.0 V\r", "EXT5V_V volt(24)=5"})
    EXPECT_EQ(rail_line(line).has_value(), std::string_view(line).back() != 'A') << line;
  EXPECT_EQ(rail_line("EXT5V_V volt=5.0V")->micro, 5'000'000);
}

// Kills: a value read from a line that is none, a voltage taken for a current, NaN and signs let through.
TEST(RaspberryText, WhatIsNoRailsLineIsRefused) {
  for (const char* line :
       {"", "error=1 error_msg=\"Command not registered\"", "VDD_CORE_A volt(7)=1.0V", "VDD_CORE current(7)=1.0A",
        "VDD_CORE_A current(7)=-1.0A", "VDD_CORE_A current(7)=nanA", "VDD_CORE_A current(7)=", "VDD_CORE_A current(7)",
        "VDD_CORE_A current(7)=0x10A", "VDD_CORE_A current(7)=1.0.0A", "VDD_CORE_A current(7)=1001.0A",
        "_A current(7)=1.0A", "VDD CORE_A current(7)=1.0A", "VDD_CORE_A current(7)=99999999999999999999A"})
    EXPECT_FALSE(rail_line(line)) << line;
}

// Kills: the clock read as hexadecimal, which a known tool does: 2 400 023 808 Hz became 154 618 968 072.
TEST(RaspberryText, AClockIsADecimalNumberOfHertz) {
  EXPECT_EQ(frequency_of("frequency(0)=2400023808"), 2'400'023'808);
  EXPECT_EQ(frequency_of("frequency(48)=600169920\n"), 600'169'920);
  EXPECT_FALSE(frequency_of("frequency(48)=8F0D1800"));
  EXPECT_FALSE(frequency_of("frequency(48)=0x8F0D1800"));
  EXPECT_FALSE(frequency_of("frequency(48)=999999999999"));
  EXPECT_FALSE(frequency_of("volt=0.9V"));
}

TEST(RaspberryText, TemperatureVoltsAndTheThrottleWordAreRead) {
  EXPECT_EQ(temperature_of("temp=61.5'C\n"), 61'500);
  EXPECT_EQ(temperature_of("temp=61'C"), 61'000);
  EXPECT_FALSE(temperature_of("temp=61.5'F"));
  EXPECT_FALSE(temperature_of("temp=-1.0'C"));
  EXPECT_EQ(microvolts_of("volt=0.8563V"), 856'300);
  EXPECT_EQ(throttled_of("throttled=0x50005"), 0x50005U);
  EXPECT_EQ(throttled_of("throttled=0x0"), 0U);
  EXPECT_FALSE(throttled_of("throttled=0x"));
  EXPECT_FALSE(throttled_of("throttled=0x100000000"));
}

// Kills: both halves of the word taken together, so that what was an hour ago is said to be now.
TEST(RaspberryText, WhatHoldsNowAndWhatHasHeldSinceBootAreTwoHalves) {
  EXPECT_EQ(throttle_words(throttled_now(0x50005)), "under-voltage, throttled");
  EXPECT_EQ(throttle_words(throttled_since_boot(0x50005)), "under-voltage, throttled");
  EXPECT_EQ(throttle_words(throttled_now(0xe0000)), "none");
  EXPECT_EQ(throttle_words(throttled_since_boot(0xe0000)), "clock capped, throttled, soft temperature limit");
  EXPECT_EQ(throttle_words(throttled_since_boot(0x8)), "none");
}

TEST(RaspberryText, ADecimalIsScaledExactlyAndRoundedOnce) {
  EXPECT_EQ(scaled_decimal("1.5", 0), 2);
  EXPECT_EQ(scaled_decimal("0.0000005", 6), 1);
  EXPECT_EQ(scaled_decimal("0.00000049", 6), 0);
  EXPECT_EQ(scaled_decimal("12", 3), 12'000);
  EXPECT_EQ(scaled_decimal("12.", 3), 12'000);
  EXPECT_FALSE(scaled_decimal(".5", 3));
  EXPECT_FALSE(scaled_decimal("1.2x", 1));
  EXPECT_FALSE(scaled_decimal("1000000001", 1));
}

// Source of the codes: raspberrypi.com, "Raspberry Pi revision codes".
TEST(RaspberryText, ARevisionCodeIsToldInWords) {
  EXPECT_EQ(revision_words(0xd04170),
            "Raspberry Pi 5 Model B, revision 1.0, 8 GiB, BCM2712, made by Sony UK (0xd04170)");
  EXPECT_EQ(revision_words(0xc03111),
            "Raspberry Pi 4 Model B, revision 1.1, 4 GiB, BCM2711, made by Sony UK (0xc03111)");
  EXPECT_EQ(revision_words(0x9000c1),
            "Raspberry Pi Zero W, revision 1.1, 512 MiB, BCM2835, made by Sony UK (0x9000c1)");
  EXPECT_EQ(revision_words(0xe04171),
            "Raspberry Pi 5 Model B, revision 1.1, 16 GiB, BCM2712, made by Sony UK (0xe04171)");
  EXPECT_EQ(revision_words(0x000e), "old-style revision code 0xe");
  EXPECT_EQ(revision_words(0xffffffff), "unknown Raspberry Pi, revision 1.15 (0xffffffff)");
  EXPECT_EQ(revision_of(" d04170\n"), 0xd04170U);
  EXPECT_FALSE(revision_of("d0417g"));
}

TEST(RaspberryText, AComplaintOfTheFirmwareIsToldAndAnAnswerIsNone) {
  EXPECT_EQ(firmware_error("error=1 error_msg=\"Command not registered\"\n"), "Command not registered");
  EXPECT_EQ(firmware_error("Can't open device file: /dev/vcio_gencmd\nmore"),
            "Can't open device file: /dev/vcio_gencmd");
  EXPECT_EQ(firmware_error("VCHI initialization failed"), "VCHI initialization failed");
  EXPECT_EQ(firmware_error("temp=61.5'C"), "");
}

}  // namespace
}  // namespace prony
