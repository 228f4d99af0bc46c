// What the app does to a recording while it runs. Bugs: a budget that brakes after it was exceeded, that never quickens
// again or flutters; a slowed lane that is read as gaps; one broken thermometer that stops everything.
#include "app/control.hpp"

#include <gtest/gtest.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>

#include "app/budget.hpp"
#include "app/session.hpp"
#include "attribute/attribute.hpp"
#include "model/interval_change.hpp"
#include "store/run.hpp"

namespace prony::app {
namespace {

TEST(TemperatureSetting, TakesCelsiusFahrenheitAndKelvinAndNothingElse) {
  EXPECT_DOUBLE_EQ(temperature_setting("90C", "max-temp").value(), 90);
  EXPECT_DOUBLE_EQ(temperature_setting(" 90.5 c ", "max-temp").value(), 90.5);
  EXPECT_NEAR(temperature_setting("194F", "max-temp").value(), 90, 1e-9);
  EXPECT_NEAR(temperature_setting("363.15K", "max-temp").value(), 90, 1e-9);
  for (const char* bad : {"", "90", "C", "90 degrees", "nanC", "infC", "90%", "-5C", "200C", "90CC", "1e9K", "0F",
                          "9\x01"
                          "C"}) {
    const auto refused = temperature_setting(bad, "max-temp");
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().where, "--max-temp");
    EXPECT_EQ(refused.error().code, ErrorCode::usage);
  }
}

TEST(ShareSetting, TakesAPercentageOfACore) {
  EXPECT_DOUBLE_EQ(share_setting("0.5%", "budget").value(), 0.005);
  EXPECT_DOUBLE_EQ(share_setting("100 %", "budget").value(), 1);
  for (const char* bad : {"", "%", "0.5", "0%", "-1%", "101%", "nan%", "half%"})
    EXPECT_FALSE(share_setting(bad, "budget")) << bad;
}

// A program on paper: lanes cost `lanes_per_s` at factor 1, the rest `rest_per_s`; looked at every 100 ms.
struct Paper {
  BudgetGovernor governor;
  double lanes_per_s, rest_per_s;
  Instant now{1'000'000'000};
  double lanes_s = 0, rest_s = 0;
  int hopeless = 0;
  std::vector<std::uint32_t> factors = {};
  double worst_second = 0;

  void run(double seconds) {
    for (int look = 0; look < static_cast<int>(seconds * 10); ++look) {
      if (const auto decision = governor.consider({now, at(lanes_s + rest_s), at(lanes_s)})) {
        if (decision->hopeless)
          ++hopeless;
        else
          factors.push_back(decision->factor);
      }
      now = now + milliseconds(100);
      lanes_s += 0.1 * lanes_per_s / governor.factor();
      rest_s += 0.1 * rest_per_s;
    }
  }
  static Duration at(double s) { return {static_cast<std::int64_t>(s * 1e9)}; }
};

TEST(BudgetGovernor, BrakesBeforeASecondOfTheBudgetIsUsed) {
  for (const double cost : {0.006, 0.01, 0.04}) {  // of a core; the budget is half a percent
    Paper paper{BudgetGovernor(0.005, 128), cost, 0};
    const double before = paper.lanes_s;
    paper.run(1);
    EXPECT_LE(paper.lanes_s - before, 0.005) << cost;
    const double first = paper.lanes_s;
    paper.run(1);
    EXPECT_LE(paper.lanes_s - first, 0.005) << cost;
    ASSERT_FALSE(paper.factors.empty());
    EXPECT_GE(paper.factors.back() * 0.005, cost);
  }
}

TEST(BudgetGovernor, LeavesAGenerousBudgetAlone) {
  Paper paper{BudgetGovernor(0.05, 128), 0.02, 0.01};
  paper.run(30);
  EXPECT_TRUE(paper.factors.empty());
  EXPECT_EQ(paper.governor.factor(), 1U);
}

TEST(BudgetGovernor, QuickensAgainOnceTheCostHasGoneAndDoesNotFlutter) {
  Paper paper{BudgetGovernor(0.005, 128), 0.03, 0};
  paper.run(30);  // the first brake is hard, for a second that is half spent; then it finds its pace
  const std::size_t changes = paper.factors.size();
  paper.run(60);
  EXPECT_EQ(paper.factors.size(), changes) << "steady cost, steady pace";
  EXPECT_GT(paper.governor.factor(), 1U);
  paper.lanes_per_s = 0.001;
  paper.run(40);
  EXPECT_EQ(paper.governor.factor(), 1U);
  for (std::size_t i = changes; i < paper.factors.size(); ++i)
    EXPECT_LT(paper.factors[i], i == 0 ? 1000U : paper.factors[i - 1]) << "only ever quicker";
}

TEST(BudgetGovernor, SaysOnceThatTheRestIsWhatCosts) {
  Paper paper{BudgetGovernor(0.005, 8), 0.001, 0.02};
  paper.run(10);
  EXPECT_EQ(paper.governor.factor(), 8U) << "the bound holds";
  EXPECT_EQ(paper.hopeless, 1);
}

// Energy that follows the reads, a temperature as told, CPU burnt on every read.
class Board final : public Sensor {
 public:
  explicit Board(std::int64_t burn_ns = 0) : burn_ns_(burn_ns) {
    channels_.resize(3);
    channels_[0].name = channels_[0].domain = "board.energy";
    channels_[0].measure = Measure::energy;
    channels_[0].kind = ChannelKind::counter;
    for (std::size_t i = 1; i < 3; ++i) {
      channels_[i].name = channels_[i].domain = i == 1 ? "cpu.temperature" : "broken.temperature";
      channels_[i].measure = Measure::temperature;
      channels_[i].scale = 1e-3;
    }
    for (Channel& channel : channels_) channel.sensor = "fake";
  }
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::fast; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    const std::int64_t until = t.tv_sec * 1'000'000'000 + t.tv_nsec + burn_ns_;
    while (t.tv_sec * 1'000'000'000 + t.tv_nsec < until) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    out[0] = {++reads_, Quality::ok};
    out[1] = {millidegrees.load(), millidegrees.load() == 0 ? Quality::gap : Quality::ok};
    out[2] = {6'553'500, Quality::ok};
  }
  std::atomic<std::int64_t> millidegrees{40'000};

 private:
  std::int64_t burn_ns_, reads_ = 0;
  std::vector<Channel> channels_;
};

class WithSession : public ::testing::Test {
 protected:
  void record(std::int64_t burn_ns, ControlOptions options, const std::function<void(Board&, Session&)>& meanwhile) {
    const auto machine = make_live_machine();
    path_ = std::filesystem::temp_directory_path() / ("prony-control-" + std::to_string(::getpid()) + ".prony");
    auto recorder = Recorder::create(path_, {.if_exists = IfExists::replace});
    ASSERT_TRUE(recorder);
    Board board(burn_ns);
    Session session(*machine, SensorSet{}, {&board}, milliseconds(10));
    session.control(std::move(options));
    ASSERT_TRUE(session.start(std::move(*recorder), {}));
    meanwhile(board, session);
    session.stop_sampling();
    ASSERT_TRUE(session.finish(RunState::complete));
    auto run = prony::Run::open(path_);
    ASSERT_TRUE(run);
    run_ = std::move(*run);
  }
  void TearDown() override {
    run_.reset();
    std::filesystem::remove(path_);
  }
  [[nodiscard]] std::vector<Event> events(std::string_view kind) const {
    std::vector<Event> found;
    for (const Event& event : run_->events())
      if (event.kind == kind) found.push_back(event);
    return found;
  }
  static void wait_for(const std::function<bool()>& done) {
    while (!done()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }

  std::filesystem::path path_;
  std::unique_ptr<prony::Run> run_;
};

TEST_F(WithSession, ATinyBudgetSlowsACostlyLaneRecordsItAndLosesNoEnergy) {
  ControlOptions options;
  options.budget = 0.0001;
  record(3'000'000, options, [](Board&, Session&) { std::this_thread::sleep_for(std::chrono::milliseconds(2500)); });
  const auto changes = events(interval_changed);
  ASSERT_FALSE(changes.empty());
  EXPECT_EQ(changes[0].subject, "fast");
  EXPECT_TRUE(changes[0].text.starts_with("from 10ms to ")) << changes[0].text;
  EXPECT_NE(changes[0].text.find("budget is 0.01 %"), std::string::npos) << changes[0].text;
  EXPECT_EQ(interval_change_from(changes.back())->interval.ns, 1'000'000'000) << "the bound";
  EXPECT_EQ(events("budget-exceeded").size(), 1U) << "it cannot be kept, and that is said once";

  ASSERT_EQ(run_->groups()[0].changes.size(), changes.size());
  Attribution attribution(run_->channels(), run_->groups(), run_->spans());
  std::int64_t first = -1, last = -1, ticks = 0;
  ASSERT_TRUE(run_->for_each_block({0}, [&](const TickBlock& block) {
    attribution.push(block);
    for (std::size_t t = 0; t < block.ticks(); ++t, ++ticks) {
      last = block.reading(0, t).raw;
      if (first < 0) first = last;
    }
    return true;
  }));
  EXPECT_LT(ticks, 200) << "250 deadlines at the old pace";
  const Ledger ledger = attribution.finish();
  EXPECT_DOUBLE_EQ(ledger.energy[0].recorded.value, static_cast<double>(last - first)) << "law 2";
}

TEST_F(WithSession, AGenerousBudgetChangesNothing) {
  ControlOptions options;
  options.budget = 1;
  record(0, options, [](Board&, Session&) { std::this_thread::sleep_for(std::chrono::milliseconds(1200)); });
  EXPECT_TRUE(events(interval_changed).empty());
  EXPECT_TRUE(events("budget-exceeded").empty());
  EXPECT_TRUE(run_->groups()[0].changes.empty());
}

TEST_F(WithSession, HeatIsToldOnceWithTheHottestThermometerThatCanBeBelieved) {
  std::atomic<int> told{0};
  Heat last;
  ControlOptions options;
  options.max_celsius = 70;
  options.on_hot = [&](const Heat& heat) {
    last = heat;
    ++told;
  };
  record(0, options, [&](Board& board, Session&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(400));
    EXPECT_EQ(told, 0) << "40 °C, and a broken one at 6553.5";
    board.millidegrees = 70'000;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    EXPECT_EQ(told, 0) << "the limit itself is allowed";
    board.millidegrees = 70'100;
    wait_for([&] { return told > 0; });
    board.millidegrees = 95'000;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  });
  EXPECT_EQ(told, 1);
  EXPECT_EQ(last.channel, "cpu.temperature");
  EXPECT_DOUBLE_EQ(last.celsius, 70.1);
  EXPECT_DOUBLE_EQ(last.limit_celsius, 70);
}

TEST_F(WithSession, ThatNothingIsWatchedAnyMoreIsSaid) {
  std::atomic<int> blind{0};
  ControlOptions options;
  options.max_celsius = 70;
  options.on_blind = [&](const std::string&) { ++blind; };
  record(0, options, [&](Board& board, Session&) {
    board.millidegrees = 0;  // a gap
    wait_for([&] { return blind > 0; });
  });
  EXPECT_EQ(events("temperature-unwatched").size(), 1U);
}

}  // namespace
}  // namespace prony::app
