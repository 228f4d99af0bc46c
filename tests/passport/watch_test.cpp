// Watching sensors that behave and sensors that do not. Nothing here asserts how long anything takes.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "passport/watch.hpp"
#include "stream.hpp"

namespace prony::passport {
namespace {

// A counter that renews every 5 ms of the live clock, with a mood.
class FakeSensor final : public Sensor {
 public:
  enum class Mood { good, hangs, rubbish, vanishes };
  FakeSensor(Machine& machine, Mood mood) : machine_(machine), mood_(mood) { channels_.push_back(test::counter()); }
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::fast; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override {
    ++reads;
    if (mood_ == Mood::hangs && reads == 20)
      while (!let_go) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const std::int64_t update = (machine_.now() - begin_).ns / 5'000'000;
    out[0] = {update * 150'000 + update * update % 999, Quality::ok};
    if (mood_ == Mood::vanishes && reads > 50) out[0] = {0, Quality::gap};
    if (mood_ == Mood::rubbish)
      out[0].raw = static_cast<std::int64_t>(static_cast<std::uint64_t>(machine_.now().ns) * 0x9e3779b97f4a7c15u);
  }
  std::atomic<int> reads = 0;
  std::atomic<bool> let_go = false;

 private:
  Machine& machine_;
  Mood mood_;
  Instant begin_ = machine_.now();
  std::vector<Channel> channels_;
};

struct Watching {
  std::shared_ptr<Machine> machine = make_live_machine();
  std::shared_ptr<FakeSensor> sensor;
  explicit Watching(FakeSensor::Mood mood) : sensor(std::make_shared<FakeSensor>(*machine, mood)) {}
  ChannelPassport learn(const WatchOptions& options, Watched& watched) const {
    watched = watch(machine, sensor, options);
    return learn_channel(sensor->channels()[0], watched.log->channel(0, watched.ticks), {"", "probe", "", true, {}});
  }
};

TEST(Watch, LearnsTheUpdatePeriodOfALiveSensor) {
  const Watching watching(FakeSensor::Mood::good);
  Watched watched;
  WatchOptions options;
  options.length = milliseconds(400);
  const auto p = watching.learn(options, watched);
  EXPECT_FALSE(watched.hung || watched.cut || watched.full);
  ASSERT_TRUE(p.update_period) << p.transitions << " changes in " << p.reads << " reads";
  EXPECT_NEAR(static_cast<double>(p.update_period->ns), 5e6, 0.05 * 5e6);
  EXPECT_TRUE(p.read_cost && p.worst_latency);
}

// Kills: a probe that hangs with its sensor, or that loses what it had seen.
TEST(Watch, ASensorThatHangsIsLeftBehindAndWhatWasSeenIsKept) {
  const Watching watching(FakeSensor::Mood::hangs);
  Watched watched;
  WatchOptions options;
  options.length = milliseconds(60'000);
  options.patience = milliseconds(100);
  const auto p = watching.learn(options, watched);
  EXPECT_TRUE(watched.hung);
  EXPECT_EQ(p.reads, 19U);
  EXPECT_FALSE(watched.why_not_slowing.empty());
  watching.sensor->let_go = true;  // the thread left behind ends by itself; it owns what it needs
}

TEST(Watch, InterruptedItKeepsWhatItHas) {
  const Watching watching(FakeSensor::Mood::good);
  std::atomic<bool> interrupted{false};
  WatchOptions options;
  options.length = milliseconds(60'000);
  options.interrupted = &interrupted;
  std::jthread key([&] {
    while (watching.sensor->reads < 100) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    interrupted = true;
  });
  Watched watched;
  const auto p = watching.learn(options, watched);
  EXPECT_TRUE(watched.cut);
  EXPECT_GE(p.reads, 100U);
}

TEST(Watch, RubbishAndASensorThatVanishesTeachNoPeriodAndBreakNothing) {
  for (const auto mood : {FakeSensor::Mood::rubbish, FakeSensor::Mood::vanishes}) {
    const Watching watching(mood);
    Watched watched;
    WatchOptions options;
    options.length = milliseconds(50);
    const auto p = watching.learn(options, watched);
    EXPECT_FALSE(p.update_period);
    EXPECT_FALSE(p.notes.empty());
  }
}

TEST(Watch, NoLogGrowsBeyondItsRoomHoweverLongItIsAskedFor) {
  const WatchLog log(1000, 16);
  EXPECT_FALSE(log.full());
  EXPECT_EQ(log.channel(999, 0).raw.size(), 0U);
}

// Kills: noise told as a slow-down; one burst of somebody else's that decides.
TEST(Slowing, IsToldOnlyWhereItStandsOut) {
  test::Random random(1);
  std::vector<double> noise, loss;
  for (int i = 0; i < 16; ++i) {
    noise.push_back(2000 * random.normal());
    loss.push_back(900 + 300 * random.normal());
  }
  loss[3] = 90'000;
  const auto none = resolve_slowing(noise);
  EXPECT_FALSE(none.per_read);
  EXPECT_NE(none.why_not.find("less than"), std::string::npos);
  const auto told = resolve_slowing(loss);
  ASSERT_TRUE(told.per_read);
  EXPECT_NEAR(static_cast<double>(told.per_read->ns), 900, 300);
  EXPECT_FALSE(resolve_slowing({}).per_read);
}

}  // namespace
}  // namespace prony::passport
