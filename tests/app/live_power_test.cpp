// The power on the live line follows the headline's rule. Bug: watts of domains that may overlap added up.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "app/session.hpp"

namespace prony::app {
namespace {

class Gauge final : public Sensor {
 public:
  Gauge(const char* name, std::int64_t watts, bool coverage_known, Measure measure = Measure::power,
        Origin origin = Origin::measured, bool has_model = false)
      : watts_(watts) {
    if (has_model) channel_.model = PowerModel{};
    channel_.origin = origin;
    channel_.name = channel_.domain = name;
    channel_.sensor = "fake";
    channel_.measure = measure;
    channel_.coverage_known = coverage_known;
  }
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::fast; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return {&channel_, 1}; }
  void read(std::span<Reading> out) noexcept override { out[0] = {watts_, watts_ < 0 ? Quality::gap : Quality::ok}; }

 private:
  std::int64_t watts_;
  Channel channel_;
};

double live_watts(std::vector<std::unique_ptr<Sensor>> sensors, figures::Mark marked = figures::Mark::unmarked) {
  const auto machine = make_live_machine();
  const auto path = std::filesystem::temp_directory_path() / ("prony-live-" + std::to_string(::getpid()) + ".prony");
  auto recorder = Recorder::create(path, {.if_exists = IfExists::replace});
  EXPECT_TRUE(recorder);
  Gauge tree("target.rss", 0, true, Measure::memory);
  SensorSet set;
  set.sensors = std::move(sensors);
  Session session(*machine, std::move(set), {&tree}, milliseconds(10));
  EXPECT_TRUE(session.start(std::move(*recorder), {}));
  auto mark = figures::Mark::unmarked;
  const double watts = session.watts_now(mark);
  EXPECT_EQ(mark, marked);
  session.stop_sampling();
  EXPECT_TRUE(session.finish(RunState::complete));
  std::filesystem::remove(path);
  return watts;
}

std::vector<std::unique_ptr<Sensor>> gauges(std::vector<std::pair<std::int64_t, bool>> of) {
  std::vector<std::unique_ptr<Sensor>> all;
  int number = 0;
  for (const auto& [watts, known] : of)
    all.push_back(std::make_unique<Gauge>(("power" + std::to_string(number++)).c_str(), watts, known));
  return all;
}

TEST(LivePower, DomainsOfKnownCoverageAddUpAndOthersAreNeverAddedToThem) {
  EXPECT_DOUBLE_EQ(live_watts(gauges({{30, true}, {12, true}, {100, false}})), 42);
}

TEST(LivePower, OfDomainsThatMayOverlapOnlyTheLargestCounts) {
  EXPECT_DOUBLE_EQ(live_watts(gauges({{40, false}, {100, false}})), 100);
}

TEST(LivePower, ASumThatLacksOneOfItsDomainsIsNotTold) { EXPECT_LT(live_watts(gauges({{30, true}, {-1, true}})), 0); }

// Bug: a package whose counter stands still is shown as 0 W of measured power.
TEST(LivePower, WhereMeasuredPowerIsNothingThePowerThatIsModelledBesideItIsTold) {
  for (const auto& [measured, told] : {std::pair{0, 25.0}, std::pair{30, 30.0}}) {
    auto all = gauges({{measured, true}});
    all.push_back(std::make_unique<Gauge>("modelled", 25, true, Measure::power, Origin::modelled));
    EXPECT_DOUBLE_EQ(live_watts(std::move(all), measured == 0 ? figures::Mark::modelled : figures::Mark::unmarked),
                     told);
  }
}

// Bug: power of a model that was held to a meter is shown without a mark, as if it were measured.
TEST(LivePower, PowerOfACalibratedModelIsMarkedAsDerived) {
  std::vector<std::unique_ptr<Sensor>> all;
  all.push_back(std::make_unique<Gauge>("calibrated", 25, true, Measure::power, Origin::derived, true));
  EXPECT_DOUBLE_EQ(live_watts(std::move(all), figures::Mark::derived), 25);
}

}  // namespace
}  // namespace prony::app
