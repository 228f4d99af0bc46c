// The remote sink's sender and the collector, with a line between them that fails as lines do, and a clock that goes as
// fast as the test likes. Bugs in mind: a frame lost with a connection that was cut before it was read, one doubled by
// a connection that was cut after it was stored, an outage that outlasts the buffer's place in memory, a receiver that
// lost its file.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>

#include "../support/scratch.hpp"
#include "../support/wall_times.hpp"
#include "collect/receiver.hpp"
#include "sinks/remote_sender.hpp"

namespace prony::collect {
namespace {

constexpr const char* spool_head =
    R"({"client":"me","head":{"host":"box","begun_wall_ns":1,"interval_ns":100000000,"series":[{"name":"a_j","kind":"counter"}]}})";

struct Pairs : ::testing::Test {
  ScratchFolder scratch{"pair"};
  std::int64_t now = second_ns;
  std::mt19937 random{3};
  std::optional<Answers> answers;
  bool away = false;
  unsigned percent_cut = 0;
  std::unique_ptr<Network> network =
      make_function_network([this](const HttpRequest& request) { return carry(request); });
  std::unique_ptr<Spool> spool;
  std::unique_ptr<RemoteSender> sender;
  std::uint64_t made = 0;

  void SetUp() override {
    receive("c.sqlite");
    begin('a');
  }
  void begin(char letter) {
    sender.reset();
    auto opened = Spool::open(scratch.file("buffer"), 64'000'000, std::string(32, letter), spool_head);
    ASSERT_TRUE(opened);
    spool = std::move(*opened);
    sender = std::make_unique<RemoteSender>(
        RemotePlan{"https://there", {}, {}, {}, {}, milliseconds(1000), milliseconds(1000), 20'000}, *spool, *network,
        RemoteClocks{[this] { return Instant{now}; }, [this] { return noon_ns + now; }}, 5);
    made = 0;
  }
  void receive(const std::string& name) {
    answers.reset();
    auto archive = Archive::open(scratch.file(name));
    ASSERT_TRUE(archive) << archive.error().what;
    answers.emplace(std::move(*archive), Rate{});
  }
  Result<HttpResponse> carry(const HttpRequest& request) {
    const auto cut = [&] { return percent_cut > 0 && random() % 100 < percent_cut; };
    if (away || cut()) return fail(ErrorCode::transient, "broken off");
    const HttpAnswer answer =
        answers->answer({"/v1/frames", "", "POST", request.body, noon_ns + now}, now, noon_ns + now);
    if (cut()) return fail(ErrorCode::transient, "broken off");
    return HttpResponse{static_cast<long>(answer.status), answer.body, {}};
  }
  // Ten frames a second, the sender looking as often as it asks to.
  void go_on(int seconds) {
    std::int64_t look = now;
    for (int tick = 0; tick < seconds * 10; ++tick) {
      ++made;
      const std::string line =
          "{\"sequence\":" + std::to_string(made) + ",\"wall_ns\":" + std::to_string(noon_ns + now) +
          ",\"monotonic_ns\":" + std::to_string(now) + ",\"values\":[" + std::to_string(made) + "]}";
      ASSERT_TRUE(spool->append(made, line, Instant{now}));
      now += second_ns / 10;
      if (now >= look) look = now + sender->step().ns;
    }
  }
  void deliver() {
    away = false;
    for (int n = 0; n < 200 && spool->waiting_frames() > 0; ++n)
      now += std::max<std::int64_t>(1, sender->step(true).ns);
  }
  nlohmann::json client() {
    now += 2 * second_ns;
    const auto page = answers->answer({"/v1/clients", "", "GET", "", noon_ns + now}, now, noon_ns + now);
    return nlohmann::json::parse(page.body)["clients"][0];
  }
  void expect_all(std::uint64_t frames, const std::string& name = "c.sqlite") {
    EXPECT_EQ(spool->waiting_frames(), 0u);
    EXPECT_EQ(spool->lost_frames(), 0u);
    const auto row = client();
    EXPECT_EQ(row["frames"], frames);
    EXPECT_EQ(row["missing_frames"], 0);
    auto file = Database::open(scratch.file(name), SQLITE_OPEN_READONLY, name);
    ASSERT_TRUE(file);
    EXPECT_EQ(*file->integer("SELECT count(*) FROM frame"), static_cast<std::int64_t>(frames));
    EXPECT_EQ(*file->integer("SELECT count(DISTINCT stream_id * 1000000 + sequence) FROM frame"),
              static_cast<std::int64_t>(frames));
  }
};

TEST_F(Pairs, AReceiverThatIsAwayForAMinuteLosesNothingAndIsNotHammered) {
  go_on(5);
  away = true;
  const auto before = sender->counts().requests;
  go_on(60);
  EXPECT_LE(sender->counts().requests - before, 20u);
  EXPECT_GE(spool->waiting_frames(), 590u);
  away = false;
  go_on(40);
  deliver();
  expect_all(1050);
  EXPECT_EQ(client()["doubled_frames"], 0);
}

TEST_F(Pairs, OfAHundredCutConnectionsNoFrameIsLostAndNoneIsThereTwice) {
  percent_cut = 10;  // of the ways there, and of the ways back
  go_on(300);
  percent_cut = 0;
  deliver();
  expect_all(3000);
  EXPECT_GT(client()["doubled_frames"], 0);  // some were stored, and their receipt was cut off
}

TEST_F(Pairs, AReceiverThatLostItsFileIsToldAnewWhatTheStreamIs) {
  go_on(5);
  deliver();
  receive("other.sqlite");
  go_on(5);
  deliver();
  EXPECT_EQ(client()["frames"], 50);
  EXPECT_EQ(spool->waiting_frames(), 0u);
  EXPECT_EQ(sender->trouble(), "");
}

TEST_F(Pairs, WhatAMonitorLeftIsDeliveredByTheNextWithItsOwnStream) {
  away = true;
  go_on(10);
  sender.reset();
  spool.reset();
  begin('b');
  EXPECT_EQ(spool->adopted_frames(), 100u);
  go_on(1);
  deliver();
  expect_all(110);
  EXPECT_EQ(client()["streams"], 2);
}

}  // namespace
}  // namespace prony::collect
