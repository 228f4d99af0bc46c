// Meters that write lines: columns, headers, half lines, rubbish; and the sensor that listens to them.
#include <gtest/gtest.h>

#include <random>

#include "machine/lines.hpp"
#include "machine/meter_port.hpp"
#include "machine/network.hpp"
#include "machine/simulated.hpp"
#include "sensors/line_map.hpp"
#include "sensors/meter_rows.hpp"

namespace prony {
namespace {

LineMap map_of(const std::string& options) {
  const auto meter = parse_meter("file:/x#" + options);
  EXPECT_TRUE(meter) << options;
  const auto map = line_map_of(*meter);
  EXPECT_TRUE(map) << options << (map ? "" : map.error().what);
  return map ? *map : LineMap{};
}

std::vector<LineReading> readings_of(const std::string& options, std::string_view text) {
  LineParser parser(map_of(options));
  std::vector<LineReading> all;
  parser.feed(text, [&](const LineReading& reading) { all.push_back(reading); });
  return all;
}

// The documented lines of an OmegaWatt: log lines first, six channels, a frame that is not ok, and half a line at last.
constexpr std::string_view omegawatt =
    "wattmetre-read 1.2\n/dev/ttyUSB0 opened\n"
    "#timestamp,#frame_is_ok,#U1,#U2,#current1,#current2,#activepow1,#activepow2\n"
    "1671527189.314471465,true,232.3,0.0,0.1,0.0,20.9,1.1\n"
    "1671527189.324471465,false,0,0,0,0,99999,99999\n"
    "1671527189.334471465,true,232.3,0.0,0.1,0.0,21.9,2.1\n"
    "1671527189.344471465,true,232.3,0.0,0.1,0.0,22.9,3\n"
    "1671527189.354471465,true,232.3,0.0,0.1,0.0,2";

// Kills: a log line or a header read as a number; a frame that is not ok counted; the first digits of a number that was
// cut taken for it.
TEST(LineMapOf, OmegaWattsLogHeaderBadFramesAndHalfLastLineAreNoReadings) {
  const auto one = readings_of("map=omegawatt", omegawatt);
  ASSERT_EQ(one.size(), 3u);
  EXPECT_DOUBLE_EQ(one[0].watts.value(), 20.9);
  EXPECT_NEAR(one[0].time_s.value(), 1671527189.314471465, 1e-6);
  const auto both = readings_of("map=omegawatt,watts=activepow1+activepow2", omegawatt);
  EXPECT_DOUBLE_EQ(both.at(2).watts.value(), 25.9);
  LineParser parser(map_of("map=omegawatt"));
  parser.feed(omegawatt, [](const LineReading&) {});
  EXPECT_EQ(parser.passed_over(), 4u);
  EXPECT_TRUE(parser.half_line_left());
}

TEST(LineMapOf, MoreThanTwentyFourChannelsAndAnyOfThemCanBeSummed) {
  std::string header = "#timestamp,#frame_is_ok", line = "1671527189.5,true";
  for (int i = 1; i <= 30; ++i) header += ",#activepow" + std::to_string(i), line += "," + std::to_string(i);
  const auto readings = readings_of("map=omegawatt,watts=activepow7+activepow30", header + "\n" + line + "\n");
  ASSERT_EQ(readings.size(), 1u);
  EXPECT_DOUBLE_EQ(readings[0].watts.value(), 37);
}

TEST(LineMapOf, UnitsProductsCountersAndTimesAreWhatTheColumnsSay) {
  EXPECT_DOUBLE_EQ(readings_of("watts=2,factor=0.01", "x,12345\n")[0].watts.value(), 123.45);
  EXPECT_DOUBLE_EQ(readings_of("volts=1,amps=3", "230,x,0.5\n")[0].watts.value(), 115);
  EXPECT_DOUBLE_EQ(readings_of("kwh=1", "0.002\n")[0].joules.value(), 7200);
  EXPECT_DOUBLE_EQ(readings_of("joules=1,factor=0.001", "5000\n")[0].joules.value(), 5);
  const auto both = readings_of("watts=1,factor=0.001,kwh=2", "5000,1\n");  // the factor is the power's
  EXPECT_DOUBLE_EQ(both[0].watts.value(), 5);
  EXPECT_DOUBLE_EQ(both[0].joules.value(), 3.6e6);
  for (const char* time : {"1700000000.5", "1700000000500", "1700000000500000", "1700000000500000000"})
    EXPECT_NEAR(readings_of("time=1,watts=2", std::string(time) + ",1\n")[0].time_s.value(), 1700000000.5, 1e-3)
        << time;
  EXPECT_DOUBLE_EQ(readings_of("watts=m.0.p", R"({"m":[{"p":7.5}]})"
                                              "\n")[0]
                       .watts.value(),
                   7.5);
  EXPECT_DOUBLE_EQ(readings_of("watts=p", "{\"p\":\"7.5\"}\r\n")[0].watts.value(), 7.5);
  EXPECT_DOUBLE_EQ(readings_of("watts=2,separator=tab", "a\t4\n")[0].watts.value(), 4);
  EXPECT_DOUBLE_EQ(readings_of("watts=2,separator=space", "a   4\n")[0].watts.value(), 4);
}

TEST(LineMapOf, WhatIsNoMapIsRefusedWithWhatToWrite) {
  for (const char* options :
       {"factor=2", "watts=1,volts=2,amps=3", "volts=1", "joules=1,kwh=2", "watts=1,factor=x", "watts=1,map=nothing",
        "watts=1,format=xml", "watts=1,separator=ab", "watts=1,factor=0"}) {
    const auto meter = parse_meter("file:/x#" + std::string(options));
    ASSERT_TRUE(meter) << options;
    const auto map = line_map_of(*meter);
    ASSERT_FALSE(map) << options;
    EXPECT_FALSE(map.error().fix.empty()) << options;
  }
}

// Kills: a line that depends on where the pipe was cut; a line of a gigabyte kept in memory; NaN taken for a power.
TEST(LineParserOf, PiecesOfAnySizeGiveTheSameReadings) {
  std::mt19937 random(7);
  std::vector<double> pieces;
  for (int round = 0; round < 50; ++round) {
    LineParser parser(map_of("map=omegawatt,watts=activepow1+activepow2"));
    std::vector<double> seen;
    std::string_view left = omegawatt;
    while (!left.empty()) {
      const std::size_t size = std::min<std::size_t>(left.size(), 1 + random() % 40);
      parser.feed(left.substr(0, size), [&](const LineReading& reading) { seen.push_back(*reading.watts); });
      left.remove_prefix(size);
    }
    if (round == 0) pieces = seen;
    EXPECT_EQ(seen, pieces);
    EXPECT_EQ(seen.size(), 3u);
  }
  LineParser parser(map_of("watts=1"));
  int count = 0;
  const auto one = [&](const LineReading&) { ++count; };
  for (int i = 0; i < 100; ++i) parser.feed(std::string(100'000, '9'), one);
  parser.feed("\n5\nnan\ninf\n1e999\n1e300\n6\n", one);
  EXPECT_EQ(count, 2);
}

struct WithLines final : SimulatedMachine, MeterPort {
  std::string lines;
  Result<std::unique_ptr<Network>> open_network() override { return fail(ErrorCode::unavailable, "no network", {}); }
  Result<std::unique_ptr<LineSource>> open_lines(const LineRequest& request) override {
    if (request.target != "p") return fail(ErrorCode::absent, "no such program", request.target);
    return make_text_lines(lines);
  }
};
struct Listening {
  WithLines machine;
  Probe open(const std::string& text, const std::string& meter) {
    machine.set_now({1'000'000'000});
    machine.lines = text;
    machine.name_meters({*parse_meter(meter)});
    return make_line_meter(machine, {});
  }
};

TEST(LineMeterSensor, TheMeanOfTheLinesSinceTheLastTickIsItsPower) {
  Listening room;
  const auto probe = room.open("1,10\n1,20\n1,60\n", "exec:p#watts=2");
  ASSERT_TRUE(probe.sensor) << (probe.unavailable.empty() ? "" : probe.unavailable[0].reason);
  EXPECT_EQ(probe.sensor->channels()[0].name, "line-meter.wall.power");
  EXPECT_EQ(probe.sensor->lane(), LaneKind::fast);
  std::vector<Reading> reading(1);
  probe.sensor->read(reading);
  EXPECT_EQ(reading[0].raw, 30'000);
  probe.sensor->read(reading);
  EXPECT_EQ(reading[0].raw, 60'000);  // the newest, until one comes
  room.machine.advance(milliseconds(60'000));
  probe.sensor->read(reading);
  EXPECT_EQ(reading[0].quality, Quality::gap);  // silent for a minute: not 60 W for a minute
}

// Bug: a meter that prints whole watts is believed to a milliwatt: 400.251 ± 0.005 J of 401.8.
TEST(LineMeterSensor, ItsStepIsThatOfTheDecimalsThatItsLinesHave) {
  const auto step_w = [](const char* lines, const char* meter) {
    Listening room;
    const auto probe = room.open(lines, meter);
    EXPECT_TRUE(probe.sensor) << lines;
    if (!probe.sensor) return -1.0;
    const Channel& channel = probe.sensor->channels().back();
    return channel.resolution * channel.scale;
  };
  EXPECT_DOUBLE_EQ(step_w("1,100\n1,101\n", "exec:p#watts=2"), 1);
  EXPECT_DOUBLE_EQ(step_w("1,100\n1,100.5\n1,101\n", "exec:p#watts=2"), 0.1);  // the most that it shows
  EXPECT_DOUBLE_EQ(step_w("1,100.12345\n", "exec:p#watts=2"), 0.001);          // no finer than a count
  EXPECT_DOUBLE_EQ(step_w("x,12345\n", "exec:p#watts=2,factor=0.01"), 0.01);
  EXPECT_DOUBLE_EQ(step_w("3,4\n", "exec:p#watts=1+2"), 2);
  EXPECT_DOUBLE_EQ(step_w("230,x,0.5\n", "exec:p#volts=1,amps=3"), 0.5 + 23);
  EXPECT_DOUBLE_EQ(step_w("1.25e2\n", "exec:p#watts=1"), 1);
  EXPECT_DOUBLE_EQ(step_w("{\"p\": 100.25}\n{\"p\": 7}\n", "exec:p#watts=p"), 0.01);
  EXPECT_DOUBLE_EQ(step_w("{\"p\": \"7.5\"}\n", "exec:p#watts=p"), 0.1);
  EXPECT_DOUBLE_EQ(step_w("0.002\n", "exec:p#kwh=1"), 3600);
}

TEST(LineMeterSensor, ACounterIsReadAsACounterAndItsPowerBesideIsTheHeadline) {
  Listening room;
  const auto probe = room.open("1.5,10\n1.6,20\n", "exec:p#kwh=1,watts=2");
  ASSERT_TRUE(probe.sensor);
  const auto channels = probe.sensor->channels();
  ASSERT_EQ(channels.size(), 2u);
  EXPECT_TRUE(channels[0].coverage_known);
  EXPECT_FALSE(channels[1].coverage_known);
  EXPECT_EQ(channels[1].kind, ChannelKind::counter);
  std::vector<Reading> readings(2);
  probe.sensor->read(readings);
  EXPECT_EQ(readings[1].raw, 5'760'000'000);
}

TEST(LineMeterSensor, ProgramsThatSayNothingOrSomethingElseAreToldWithTheLine) {
  Listening silent, other, nobody;
  EXPECT_NE(silent.open("", "exec:p#watts=2").unavailable.at(0).reason.find("no line"), std::string::npos);
  const auto told = other.open("hello\nworld\n", "exec:p#watts=2").unavailable.at(0);
  EXPECT_NE(told.reason.find("world"), std::string::npos);
  EXPECT_FALSE(told.remedy.empty());
  EXPECT_FALSE(nobody.open("x", "exec:q#watts=2").sensor);
}

}  // namespace
}  // namespace prony
