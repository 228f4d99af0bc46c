#include <gtest/gtest.h>

#include <cerrno>

#include "machine/simulated.hpp"
#include "sensors/file_sensor.hpp"

namespace prony {
namespace {

ParseFault parse(std::string_view text, IntegerSign sign, std::int64_t& value) {
  return parse_sensor_integer({text.data(), text.size()}, sign, value);
}

TEST(SensorInteger, WholeFieldsAreRead) {
  std::int64_t value = 7;
  EXPECT_EQ(parse("0\n", IntegerSign::signed_64, value), ParseFault::none);
  EXPECT_EQ(value, 0);
  EXPECT_EQ(parse("-5000\n", IntegerSign::signed_64, value), ParseFault::none);
  EXPECT_EQ(value, -5000);
  EXPECT_EQ(parse("262143328850", IntegerSign::unsigned_64, value), ParseFault::none);
  EXPECT_EQ(value, 262143328850);
  EXPECT_EQ(parse("18446744073709551615\n", IntegerSign::unsigned_64, value), ParseFault::none);
  EXPECT_EQ(static_cast<std::uint64_t>(value), UINT64_MAX);
}

TEST(SensorInteger, AnythingElseIsAFaultAndLeavesTheValueAlone) {
  std::int64_t value = 7;
  for (const auto* text : {"12a", "1 2", "0x10", "+5", "--5", "-", " 5", "1.5", "nan", "12\n34\n"})
    EXPECT_EQ(parse(text, IntegerSign::signed_64, value), ParseFault::not_a_number) << text;
  EXPECT_EQ(parse(std::string_view("1\0", 2), IntegerSign::signed_64, value), ParseFault::not_a_number);
  EXPECT_EQ(parse("", IntegerSign::signed_64, value), ParseFault::empty);
  EXPECT_EQ(parse("\n", IntegerSign::signed_64, value), ParseFault::empty);
  EXPECT_EQ(parse("-1", IntegerSign::unsigned_64, value), ParseFault::negative);
  EXPECT_EQ(parse("18446744073709551616", IntegerSign::unsigned_64, value), ParseFault::too_large);
  EXPECT_EQ(parse("99999999999999999999", IntegerSign::unsigned_64, value), ParseFault::too_large);
  EXPECT_EQ(parse("100000000000000000000000", IntegerSign::unsigned_64, value), ParseFault::too_large);
  EXPECT_EQ(parse("9223372036854775808", IntegerSign::signed_64, value), ParseFault::too_large);
  EXPECT_EQ(value, 7);
}

struct TwoFiles : ::testing::Test {
  TwoFiles() {
    machine.set_file("/sys/a", "10\n");
    machine.set_file("/sys/b", "20\n");
    FileSensorBuilder builder(machine);
    Channel channel;
    channel.kind = ChannelKind::counter;
    channel.name = "a";
    EXPECT_TRUE(builder.add(channel, "/sys/a"));
    channel.name = "b";
    EXPECT_TRUE(builder.add(channel, "/sys/b"));
    sensor = builder.finish(LaneKind::fast).sensor;
  }
  std::vector<Reading> read() {
    std::vector<Reading> readings(2);
    sensor->read(readings);
    EXPECT_EQ(readings[1].raw, 20);  // whatever happens to a, b goes on
    EXPECT_EQ(readings[1].quality, Quality::ok);
    return readings;
  }
  SimulatedMachine machine;
  std::unique_ptr<Sensor> sensor;
};

TEST_F(TwoFiles, ABadMomentIsAGapOfThatChannelOnlyWithItsReason) {
  EXPECT_TRUE(sensor->complaints().empty());
  for (const std::string text : {"", "rubbish", "-3", "1234567890123456789012345678901234567890123", "11 12"}) {
    machine.set_file("/sys/a", text);
    EXPECT_EQ(read()[0].quality, Quality::gap) << text;
    const auto complaints = sensor->complaints();
    ASSERT_EQ(complaints.size(), 1u) << text;
    EXPECT_EQ(complaints[0].subject, "a");
    EXPECT_NE(complaints[0].reason.find("/sys/a"), std::string::npos);
    EXPECT_TRUE(sensor->complaints().empty()) << "told once";
  }
}

// Kills: a gap that is over when somebody asks, and then has no reason.
TEST_F(TwoFiles, AFaultThatHasPassedIsStillToldOnce) {
  machine.set_fault("/sys/a", EIO);
  EXPECT_EQ(read()[0].quality, Quality::gap);
  machine.set_fault("/sys/a", 0);
  machine.set_file("/sys/a", "11\n");
  EXPECT_EQ(read()[0].raw, 11);
  const auto complaints = sensor->complaints();
  ASSERT_EQ(complaints.size(), 1u);
  EXPECT_NE(complaints[0].reason.find("Input/output error"), std::string::npos) << complaints[0].reason;
  EXPECT_TRUE(sensor->complaints().empty());
}

TEST_F(TwoFiles, AVanishedFileIsOpenedAgainAtMostOnceASecondAndComesBack) {
  machine.remove("/sys/a");
  for (int tick = 0; tick < 100; ++tick) {  // 990 ms of ticks
    EXPECT_EQ(read()[0].quality, Quality::gap);
    machine.advance(milliseconds(10));
  }
  EXPECT_EQ(machine.reopens("/sys/a"), 1u);
  machine.set_file("/sys/a", "12\n");
  EXPECT_EQ(read()[0].quality, Quality::gap);  // this read fails and reopens
  EXPECT_EQ(machine.reopens("/sys/a"), 2u);
  EXPECT_EQ(read()[0].raw, 12);
  EXPECT_EQ(machine.reopens("/sys/b"), 0u);
}

TEST(FileSensor, AProductThatOverflowsIsAGap) {
  SimulatedMachine machine;
  machine.set_file("/sys/v", "12000");
  machine.set_file("/sys/i", "-500");
  FileSensorBuilder builder(machine);
  ASSERT_TRUE(builder.add_product(Channel{}, "/sys/v", "/sys/i"));
  const auto sensor = builder.finish(LaneKind::fast).sensor;
  Reading reading;
  sensor->read({&reading, 1});
  EXPECT_EQ(reading.raw, -6'000'000);
  machine.set_file("/sys/v", "9000000000000000000");
  sensor->read({&reading, 1});
  EXPECT_EQ(reading.quality, Quality::gap);
}

}  // namespace
}  // namespace prony
