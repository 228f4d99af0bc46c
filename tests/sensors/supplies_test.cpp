// Meters at several power supplies of one machine: added where the user says so, and only there.
#include "sensors/supplies.hpp"

#include <gtest/gtest.h>

#include "sensors/wall.hpp"

namespace prony {
namespace {

// A meter that shows `milliwatts`, and a total beside it.
class Shown final : public Sensor {
 public:
  Shown(const Meter& meter, Reading power, Duration period) : power_(power) {
    channels_.push_back(meter_channel(meter, "plug", "power", Measure::power, false));
    channels_.push_back(meter_channel(meter, "plug", "energy", Measure::energy, false));
    channels_[0].scale = 1e-3, channels_[0].resolution = 100, channels_[0].update_period = period;
    channels_[1].id = {1};
  }
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::blocking; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override { out[0] = power_, out[1] = Reading{7, Quality::ok}; }
  [[nodiscard]] std::vector<Unavailable> complaints() override { return {{channels_[0].name, "lost", {}}}; }

 private:
  Reading power_;
  std::vector<Channel> channels_;
};

struct SuppliesBench {
  std::vector<Meter> meters;
  std::vector<std::unique_ptr<Sensor>> sensors;
  std::vector<Unavailable> told;

  void add(const std::string& text, std::optional<Reading> power, Duration period = milliseconds(1000)) {
    const auto meter = parse_meter(text);
    ASSERT_TRUE(meter) << meter.error().what;
    meters.push_back(*meter);
    if (power) sensors.push_back(std::make_unique<Shown>(*meter, *power, period));
  }
  void join() { join_supplies(meters, sensors, told); }
  std::vector<Reading> read() {
    std::vector<Reading> readings(sensors.at(0)->channels().size());
    sensors.at(0)->read(readings);
    return readings;
  }
};

// Kills: only the larger supply counted; the machine's own sensors added to the wall's; both parts and their sum in the
// headline.
TEST(Supplies, MetersThatAreMarkedSoAreAddedAndWhatTheySeeIsPartOfTheSum) {
  SuppliesBench bench;
  bench.add("a=shelly://192.0.2.1#supply", Reading{60'500, Quality::ok});
  bench.add("b=tasmota://192.0.2.2#supply", Reading{39'500, Quality::late}, milliseconds(2000));
  bench.join();
  EXPECT_TRUE(bench.told.empty());
  ASSERT_EQ(bench.sensors.size(), 1u);
  const auto channels = bench.sensors[0]->channels();
  ASSERT_EQ(channels.size(), 5u);
  const auto readings = bench.read();
  EXPECT_DOUBLE_EQ(static_cast<double>(readings[0].raw) * channels[0].scale, 100);
  EXPECT_EQ(readings[0].quality, Quality::late) << "no better than the worse of them";
  EXPECT_EQ(channels[0].domain, "wall");
  EXPECT_EQ(channels[0].update_period, milliseconds(2000));
  EXPECT_DOUBLE_EQ(channels[0].resolution, 201) << "the steps of both, and its own";
  EXPECT_TRUE(channels[0].coverage_known);
  for (std::size_t i = 1; i < channels.size(); ++i) {
    EXPECT_EQ(channels[i].part_of, ChannelId{0});
    EXPECT_EQ(channels[i].id, ChannelId{static_cast<std::uint32_t>(i)});
    EXPECT_EQ(readings[i].raw, i == 1 ? 60'500 : i == 3 ? 39'500 : 7);
  }
  EXPECT_EQ(bench.sensors[0]->complaints().size(), 2u);

  std::vector<Channel> all(channels.begin(), channels.end());
  Channel package;
  package.id = {5}, package.measure = Measure::energy, package.kind = ChannelKind::counter;
  all.push_back(package);
  place_behind_the_wall(all);
  EXPECT_EQ(all[5].part_of, ChannelId{0});
}

// Kills: half of the machine shown as the whole while one of its meters is silent.
TEST(Supplies, WhileOneOfThemIsSilentThereIsNoSum) {
  SuppliesBench bench;
  bench.add("a=shelly://192.0.2.1#supply", Reading{60'500, Quality::ok});
  bench.add("b=shelly://192.0.2.2#supply", Reading{});
  bench.join();
  const auto readings = bench.read();
  EXPECT_EQ(readings[0].quality, Quality::gap);
  EXPECT_EQ(readings[1].raw, 60'500);
}

TEST(Supplies, OneThatCannotBeReadLeavesTheOthersAsTheyAreAndIsTold) {
  SuppliesBench bench;
  bench.add("a=shelly://192.0.2.1#supply", Reading{1, Quality::ok});
  bench.add("b=shelly://192.0.2.2#supply", {});
  bench.join();
  EXPECT_EQ(bench.sensors.size(), 1u);
  EXPECT_EQ(bench.sensors[0]->channels().size(), 2u);
  ASSERT_EQ(bench.told.size(), 1u);
  EXPECT_NE(bench.told[0].reason.find("no sum of a + b: the power of b"), std::string::npos) << bench.told[0].reason;
}

TEST(Supplies, OneAloneIsNoMachineAndIsTold) {
  SuppliesBench bench;
  bench.add("a=shelly://192.0.2.1#supply", Reading{1, Quality::ok});
  bench.join();
  ASSERT_EQ(bench.told.size(), 1u);
  EXPECT_NE(bench.told[0].reason.find("only a is marked"), std::string::npos);
}

// Kills: two meters that may see the same machine twice added because there are two.
TEST(Supplies, MetersThatNobodyMarkedAreNotAddedAndItIsSaidHowToSaySo) {
  SuppliesBench bench;
  bench.add("a=shelly://192.0.2.1", Reading{1, Quality::ok});
  bench.add("b=exec:true#watts=1", {});
  bench.join();
  EXPECT_TRUE(bench.told.empty()) << "one of them is not there: there is nothing to add";
  bench.add("c=kasa://192.0.2.3", Reading{1, Quality::ok});
  bench.join();
  EXPECT_EQ(bench.sensors.size(), 2u);
  ASSERT_EQ(bench.told.size(), 1u);
  EXPECT_NE(bench.told[0].reason.find("a + c are not added"), std::string::npos) << bench.told[0].reason;
  EXPECT_NE(bench.told[0].remedy.find("#supply"), std::string::npos);
}

}  // namespace
}  // namespace prony
