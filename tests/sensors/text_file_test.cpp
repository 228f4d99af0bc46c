#include <gtest/gtest.h>

#include <cerrno>

#include "machine/simulated.hpp"
#include "seen.hpp"
#include "sensors/sum_sensor.hpp"
#include "sensors/text_file.hpp"

namespace prony {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(TextFields, ANumberStandsBehindItsWholeKeyAndBeforeItsUnit) {
  EXPECT_EQ(number_of_line("a 1\nuser_usec 12\nb 3", "user_usec"), 12);
  EXPECT_EQ(number_of_line("MemTotal:   10 kB\n", "MemTotal:", " kB"), 10);
  EXPECT_FALSE(number_of_line("user_usec_all 12\n", "user_usec"));  // kills: a key that begins another one
  EXPECT_FALSE(number_of_line("MemTotal: 10 MB\n", "MemTotal:", " kB"));
  for (const auto* bad : {"k", "k ", "k -1", "k x", "k 1x", "k 99999999999999999999", "k 9223372036854775807"})
    EXPECT_FALSE(number_of_line(bad, "k")) << bad;
}

TEST(TextFields, FieldsAreCountedBetweenAnyWhiteSpaceOfTheFirstLine) {
  EXPECT_EQ(number_in_line("  7\t 8   9\n10", 2), 9);
  EXPECT_EQ(number_in_line("7", 0), 7);
  EXPECT_FALSE(number_in_line("7 8\n9", 2));
  EXPECT_FALSE(number_in_line("7 8x 9", 1));
  EXPECT_FALSE(number_in_line("7 -8 9", 1));
  EXPECT_FALSE(number_in_line("", 0));
}

struct OneText : ::testing::Test {
  OneText() { machine.set_file("/sys/t", "a 1\nb 2\n"); }
  Probe probe() {
    TextSensorBuilder builder(machine);
    Channel a, b;
    a.name = "a";
    b.name = "b";
    builder.add("/sys/t", {{a, [](std::string_view text) { return number_of_line(text, "a"); }},
                           {b, [](std::string_view text) { return number_of_line(text, "b"); }}});
    return builder.finish(LaneKind::slow);
  }
  SimulatedMachine machine;
};

TEST_F(OneText, AFieldThatIsLostIsAGapOfThatChannelWithTheReasonToldOnce) {
  const auto probed = probe();
  EXPECT_THAT(seen(probed), ElementsAre("a=1", "b=2"));
  EXPECT_TRUE(probed.sensor->complaints().empty());
  machine.set_file("/sys/t", "b 3\n");
  EXPECT_THAT(seen(probed), ElementsAre("a=gap", "b=3"));
  const auto complaints = probed.sensor->complaints();
  ASSERT_EQ(complaints.size(), 1u);
  EXPECT_THAT(complaints[0].reason, HasSubstr("/sys/t"));
  EXPECT_TRUE(probed.sensor->complaints().empty());
}

TEST_F(OneText, AFileThatWentAwayIsOpenedAgainAtMostOnceASecond) {
  const auto probed = probe();
  machine.remove("/sys/t");
  for (int tick = 0; tick < 20; ++tick) {
    EXPECT_THAT(seen(probed), ElementsAre("a=gap", "b=gap"));
    machine.advance(milliseconds(100));
  }
  EXPECT_EQ(machine.reopens("/sys/t"), 2u);
  machine.set_file("/sys/t", "a 5\nb 6\n");
  (void)seen(probed);
  EXPECT_THAT(seen(probed), ElementsAre("a=5", "b=6"));
}

TEST_F(OneText, AFieldMissingFromTheStartIsNotAChannelAndSaysWhy) {
  machine.set_file("/sys/t", "b 2\n");
  const auto probed = probe();
  EXPECT_THAT(seen(probed), ElementsAre("b=2"));
  ASSERT_EQ(probed.unavailable.size(), 1u);
  EXPECT_EQ(probed.unavailable[0].subject, "a");
  machine.set_fault("/sys/t", EACCES);
  EXPECT_THAT(probe().unavailable.at(0).reason, HasSubstr("ermission denied"));
}

// Kills: the digits before the end of the buffer taken for the whole number.
TEST_F(OneText, ANumberCutByTheEndOfTheBufferIsNotRead) {
  std::string text(sensor_text_bytes - 4, 'x');
  text += "\na 12345\nb 2\n";  // the buffer ends behind "a 1"
  machine.set_file("/sys/t", "a 1\nb 2\n");
  const auto probed = probe();
  machine.set_file("/sys/t", text);
  EXPECT_THAT(seen(probed), ElementsAre("a=gap", "b=gap"));
}

// Kills: a sum that goes on with those that can be read, which is a counter that jumps back.
TEST(SumSensor, ASumWithoutOneOfItsPartsIsAGap) {
  SimulatedMachine machine;
  machine.set_file("/sys/a", "1");
  machine.set_file("/sys/b", "2");
  SumSensorBuilder builder(machine);
  Channel sum;
  sum.name = "sum";
  EXPECT_TRUE(builder.add(sum, {"/sys/a", "/sys/b", "/sys/none"}));
  const auto probed = builder.finish(LaneKind::slow);
  EXPECT_EQ(probed.unavailable.size(), 1u);
  EXPECT_THAT(seen(probed), ElementsAre("sum=3"));
  machine.set_fault("/sys/b", EIO);
  EXPECT_THAT(seen(probed), ElementsAre("sum=gap"));
  EXPECT_EQ(probed.sensor->complaints().size(), 1u);
  machine.set_fault("/sys/b", 0);
  machine.set_file("/sys/b", "9223372036854775807");
  EXPECT_THAT(seen(probed), ElementsAre("sum=gap"));
}

}  // namespace
}  // namespace prony
