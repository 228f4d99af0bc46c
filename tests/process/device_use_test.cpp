#include "process/device_use.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine/simulated.hpp"

namespace prony {
namespace {

class Gpu final : public DeviceUsers {
 public:
  explicit Gpu(std::string name) : domain(std::move(name)), device("uuid of " + domain) {}
  const std::string& users_device() const noexcept override { return device; }
  const std::string& users_domain() const noexcept override { return domain; }
  std::string why_no_users() override { return why; }
  bool look_at_users(std::vector<DeviceUse>& out) override {
    out = now;
    return answers;
  }
  std::string domain, device, why;
  std::vector<DeviceUse> now;
  bool answers = true;
};

struct Bench {
  std::unique_ptr<DeviceUseByTarget> make() {
    DeviceUseOptions options;
    options.targets = {"command", "web"};
    options.own_pid = 1;
    options.target_of = [](std::int64_t pid) -> std::optional<std::size_t> {
      if (pid == 10 || pid == 11) return 0;
      if (pid == 20) return 1;
      return std::nullopt;
    };
    return DeviceUseByTarget::create(machine, {&first, &second}, options, unavailable);
  }
  static std::map<std::string, Reading> read(DeviceUseByTarget& sensor) {
    std::vector<Reading> readings(sensor.channels().size());
    sensor.read(readings);
    std::map<std::string, Reading> all;
    for (std::size_t i = 0; i < readings.size(); ++i) all[sensor.channels()[i].name] = readings[i];
    return all;
  }
  SimulatedMachine machine;
  Gpu first{"gpu-0"}, second{"gpu-1"};
  std::vector<Unavailable> unavailable;
};

// Kills: a stranger's use that is nobody's and so everybody's, one target's use in another's channel.
TEST(DeviceUse, EachTargetsUseAndEverybodysAddUpOverLooksAndStrangersAreInEverybodysAlone) {
  Bench bench;
  auto sensor = bench.make();
  bench.first.now = {{10, 100, 7, true}, {11, 50, 2, true}, {20, 30, 5, true}, {99, 20, 0, false}, {1, 3, 0, false}};
  Bench::read(*sensor);
  const auto readings = Bench::read(*sensor);
  EXPECT_EQ(readings.at("use.gpu-0").raw, 2 * 203);
  EXPECT_EQ(readings.at("target.gpu-0.use").raw, 2 * 150);
  EXPECT_EQ(readings.at("target.web.gpu-0.use").raw, 2 * 30);
  EXPECT_EQ(readings.at("prony.gpu-0.use").raw, 2 * 3);
  EXPECT_EQ(readings.at("target.gpu-0.memory").raw, 9);
  EXPECT_EQ(readings.at("use.gpu-1").raw, 0);
}

TEST(DeviceUse, ADeviceThatStopsAnsweringIsAGapAndSaysSoOnce) {
  Bench bench;
  auto sensor = bench.make();
  bench.second.answers = false;
  EXPECT_EQ(Bench::read(*sensor).at("use.gpu-1").quality, Quality::gap);
  EXPECT_EQ(Bench::read(*sensor).at("use.gpu-0").quality, Quality::ok);
  EXPECT_EQ(sensor->complaints().size(), 1U);
  EXPECT_TRUE(sensor->complaints().empty());
}

TEST(DeviceUse, WhoUsedWhatAndWhatNobodyUsedAreFactsOfTheRun) {
  Bench bench;
  auto sensor = bench.make();
  bench.second.now = {{20, 0, 5, true}};
  using namespace std::string_view_literals;
  constexpr auto environment = "A=1\0CUDA_VISIBLE_DEVICES=uuid,1\0CUDA_DEVICE_ORDER=PCI_BUS_ID\0"sv;
  bench.machine.set_file("/proc/20/environ", std::string(environment));
  Bench::read(*sensor);
  std::map<std::string, std::string> facts;
  for (const Fact& fact : sensor->facts()) facts[fact.key] = fact.value;
  EXPECT_EQ(facts, (std::map<std::string, std::string>{{"target.web.devices", "gpu-1 (uuid of gpu-1)"},
                                                       {"target.web.visible_devices", "none"},
                                                       {"devices.not_used", "gpu-0"}}));
}

TEST(DeviceUse, ADeviceWhoseDriverDoesNotTellHasNoChannelAndAReason) {
  Bench bench;
  bench.first.why = "MIG is on";
  const auto sensor = bench.make();
  ASSERT_EQ(bench.unavailable.size(), 1U);
  EXPECT_EQ(bench.unavailable[0].reason, "who uses gpu-0 cannot be told, so its energy is not separable: MIG is on");
  for (const Channel& channel : sensor->channels()) EXPECT_EQ(channel.domain, "gpu-1");
  bench.second.why = "too old";
  EXPECT_EQ(bench.make(), nullptr);
}

}  // namespace
}  // namespace prony
