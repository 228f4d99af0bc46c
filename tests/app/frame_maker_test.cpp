// Ticks to frames. Bugs in mind: joules counted twice or lost where one fold ends and the next begins, a wrap told as a
// fall, a counter that restarts told as a leap, frames made before a lane that is a little late, a lane that hangs
// holding up all, a lost sensor whose last value stands for ever.
#include "app/frame_maker.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace prony::app {
namespace {

constexpr std::int64_t ms = 1'000'000;

Channel frame_channel(std::uint32_t id, const char* name, const char* domain, Measure measure, ChannelKind kind,
                      double scale) {
  Channel made;
  made.id = ChannelId{id};
  made.name = name;
  made.sensor = "test";
  made.domain = domain;
  made.measure = measure;
  made.kind = kind;
  made.scale = scale;
  made.max_rate = 1000;
  return made;
}

// A package of 10 W whose counter wraps every 30 J, a power gauge of 5 W, bytes that restart, a temperature.
FramePlan frame_plan(Duration interval = milliseconds(1000)) {
  FramePlan made;
  made.channels = {frame_channel(0, "a.package-0.energy", "package-0", Measure::energy, ChannelKind::counter, 1e-6),
                   frame_channel(1, "b.board.power", "board", Measure::power, ChannelKind::gauge, 1e-3),
                   frame_channel(2, "c.net.rx", "net", Measure::data, ChannelKind::counter, 1),
                   frame_channel(3, "d.cpu.temperature", "cpu", Measure::temperature, ChannelKind::gauge, 1e-3)};
  made.channels[0].range = 30'000'000;
  made.channels[0].max_rate = 100;
  made.channels[2].max_rate = 0;
  made.groups = {Group{GroupId{0}, "fast", milliseconds(1000), {ChannelId{0}, ChannelId{1}, ChannelId{2}}},
                 Group{GroupId{1}, "late", milliseconds(1000), {ChannelId{3}}}};
  made.interval = interval;
  return made;
}

struct Frames : ::testing::Test {
  std::vector<Frame> frames;

  static TickBlock fast(std::int64_t second_number, bool gap = false) {
    TickBlock block(GroupId{0}, 3, 1);
    const Instant at{1'000'000 * ms + second_number * 1000 * ms};
    const auto quality = gap ? Quality::gap : Quality::ok;
    const std::vector<Reading> readings{
        {(second_number * 10'000'000) % 30'000'000, quality},
        {5000, Quality::ok},
        {second_number < 50 ? 1000 + second_number * 7 : (second_number - 50) * 7, Quality::ok}};
    block.push(at, at + Duration{1000}, readings);
    return block;
  }
  static TickBlock late(std::int64_t second_number) {
    TickBlock block(GroupId{1}, 1, 1);
    const Instant at{1'000'000 * ms + second_number * 1000 * ms + ms};
    block.push(at, at + Duration{1000}, std::vector<Reading>{{40'000 + second_number, Quality::ok}});
    return block;
  }
  static std::size_t place(const FrameMaker& maker, const std::string& name) {
    const auto found = std::ranges::find(maker.series(), name, &Series::name);
    EXPECT_NE(found, maker.series().end()) << name;
    return static_cast<std::size_t>(found - maker.series().begin());
  }
  void make(FrameMaker& maker, bool last = false) {
    maker.make(Anchor{Instant{0}, 0, {}}, last, [&](Frame frame) { frames.push_back(std::move(frame)); });
  }
};

TEST_F(Frames, JoulesOfMinutesAreThoseOfTheReadingsAcrossWrapsAndFolds) {
  FrameMaker maker(frame_plan());
  for (int second = 0; second <= 300; ++second) {  // five folds, a hundred wraps
    maker.see(fast(second));
    maker.see(late(second));
    make(maker);
  }
  make(maker, true);
  const auto counter = place(maker, "a.package-0.gross_j"), gauge = place(maker, "b.board.gross_j");
  ASSERT_EQ(frames.size(), 302u);  // the last one is made at the other lane's last tick
  EXPECT_NEAR(*frames.back().values[counter], 3000, 1e-6);
  EXPECT_NEAR(*frames.back().values[gauge], 1500, 0.1);
  EXPECT_NEAR(*frames[120].values[counter], 1200, 1e-6);
  for (const std::size_t place_ : {counter, gauge})
    for (std::size_t i = 1; i < frames.size(); ++i) EXPECT_GE(*frames[i].values[place_], *frames[i - 1].values[place_]);
  EXPECT_NEAR(*frames.back().values[place(maker, "a.package-0.power_w")], 10, 1e-3);
  EXPECT_EQ(frames.front().values[place(maker, "a.package-0.power_w")], std::nullopt);
  EXPECT_EQ(*frames.front().values[counter], 0);
}

TEST_F(Frames, ACounterThatRestartsGoesOnFromWhereItWas) {
  FrameMaker maker(frame_plan());
  for (int second = 0; second <= 60; ++second) {
    maker.see(fast(second));
    maker.see(late(second));
  }
  make(maker);
  const auto bytes = place(maker, "c.net.rx_bytes");
  EXPECT_EQ(*frames[49].values[bytes], 49 * 7);
  EXPECT_EQ(*frames[50].values[bytes], 49 * 7);  // the restart itself tells nothing
  EXPECT_EQ(*frames[60].values[bytes], 59 * 7);
}

TEST_F(Frames, AFrameWaitsForALaneThatIsALittleLateAndNotForOneThatHangs) {
  FrameMaker maker(frame_plan());
  maker.see(late(0));
  for (int second = 0; second <= 2; ++second) maker.see(fast(second));
  make(maker);
  EXPECT_EQ(frames.size(), 1u);  // up to where both have come
  for (int second = 3; second <= 9; ++second) maker.see(fast(second));
  make(maker);
  EXPECT_EQ(frames.size(), 10u);
  const auto warm = place(maker, "d.cpu.temperature_celsius");
  EXPECT_DOUBLE_EQ(*frames[2].values[warm], 40);
  EXPECT_EQ(frames.back().values[warm], std::nullopt);  // a hanging lane's last value does not stand for ever
  EXPECT_TRUE(frames.back().values[place(maker, "a.package-0.gross_j")].has_value());
}

TEST_F(Frames, WhatIsNotReadAnyMoreIsAbsentAndComesBack) {
  FrameMaker maker(frame_plan());
  const auto joules = place(maker, "a.package-0.gross_j");
  for (int second = 0; second <= 12; ++second) {
    maker.see(fast(second, second > 3 && second < 10));
    maker.see(late(second));
    make(maker);
  }
  make(maker, true);
  EXPECT_TRUE(frames[3].values[joules].has_value());
  EXPECT_EQ(frames[9].values[joules], std::nullopt);
  EXPECT_TRUE(frames[12].values[joules].has_value());
}

TEST(MetricWords, ChooseByWhatAChannelTells) {
  const auto power = parse_metrics("power");
  ASSERT_TRUE(power);
  const auto channels = frame_plan().channels;
  EXPECT_TRUE(power->wants(channels[0]));
  EXPECT_FALSE(power->wants(channels[2]));
  EXPECT_FALSE(power->wants(channels[3]));
  const Channel busy = frame_channel(9, "cpu.busy", "cpu", Measure::cpu_time, ChannelKind::counter, 1);
  EXPECT_FALSE(power->wants(busy));
  EXPECT_TRUE(power->needs(busy));  // joules are split by it
  EXPECT_FALSE(parse_metrics("temperature")->needs(busy));
  EXPECT_TRUE(parse_metrics("")->wants(busy));
  EXPECT_FALSE(parse_metrics("powr"));
  EXPECT_FALSE(parse_metrics("power,"));
}

// Kills: joules since the start over tokens of the last minute; a quotient of none; one of the first seconds.
TEST_F(Frames, JoulesPerOutputTokenAreThoseOfTheMinuteInWhichTheServerCountedThem) {
  FramePlan made = frame_plan();
  made.channels.push_back(
      frame_channel(4, "engine.output_tokens", "output-tokens", Measure::count, ChannelKind::counter, 1));
  made.channels.back().sensor = "engine";
  made.groups.push_back(Group{GroupId{2}, "engine", milliseconds(1000), {ChannelId{4}}});
  FrameMaker maker(made);
  for (int second = 0; second <= 200; ++second) {
    maker.see(fast(second));
    maker.see(late(second));
    TickBlock block(GroupId{2}, 1, 1);
    const Instant at{1'000'000 * ms + second * 1000 * ms + 2 * ms};
    // 50 tokens/s for 100 s, then the server is started again and makes none.
    block.push(at, at + Duration{1000}, std::vector<Reading>{{second < 100 ? 9'000 + 50 * second : 0, Quality::ok}});
    maker.see(block);
    make(maker);
  }
  const std::size_t rate = place(maker, "engine.output_tokens_per_s"),
                    each = place(maker, "a.package-0.gross_per_output_token_j");
  EXPECT_FALSE(frames[3].values[rate]);
  ASSERT_TRUE(frames[80].values[rate] && frames[80].values[each]);
  EXPECT_NEAR(*frames[80].values[rate], 50, 1);
  EXPECT_NEAR(*frames[80].values[each], 10.0 / 50, 0.01);
  EXPECT_NEAR(*frames[190].values[rate], 0, 1e-9);
  EXPECT_FALSE(frames[190].values[each]);
}

}  // namespace
}  // namespace prony::app
