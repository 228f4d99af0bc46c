// The remote sink: its words, and what it does with answers. Bugs in mind: a token on the command line, plain text to a
// stranger, frames thrown away because a proxy says 400, a portal's "200 OK" taken for a receipt, clients that come
// back all at once, one stream that is refused and holds up all others or is lost without a word, a clock that somebody
// tells to do harm, and a sampler that waits. With a real receiver it is met in tests/collect/remote_pair_test.cpp and
// tests/e2e/test_collect.py.
#include "sinks/remote_sender.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "sinks/stream.hpp"
#include "spool_rig.hpp"

namespace prony::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A sender whose receiver is a function, with a clock that stands until it is told to go on.
struct Senders : Spools {
  std::int64_t now_ns = 1'000'000'000;
  std::unique_ptr<Spool> spool = open(stream_a);
  std::vector<HttpRequest> asked;
  std::function<Result<HttpResponse>(const HttpRequest&)> receiver;
  std::unique_ptr<Network> network = make_function_network([this](const HttpRequest& request) {
    asked.push_back(request);
    return receiver(request);
  });
  RemotePlan plan{"https://there:1", {}, {}, {}, {}, milliseconds(5000), milliseconds(1000), 10'000};
  std::unique_ptr<RemoteSender> sender;

  void SetUp() override {
    receiver = [this](const HttpRequest& request) { return taken(request); };
  }
  void start() {
    sender = std::make_unique<RemoteSender>(
        plan, *spool, *network, RemoteClocks{[this] { return Instant{now_ns}; }, [this] { return now_ns; }}, 7);
    now_ns += 5'000'000'000;
  }
  static Result<HttpResponse> status(long code, std::string body = {}, const char* retry = nullptr) {
    HttpResponse answer{code, std::move(body), {}};
    if (retry != nullptr) answer.headers.emplace_back("retry-after", retry);
    return answer;
  }
  Result<HttpResponse> taken(const HttpRequest& request) const {
    const auto frames = std::ranges::count(request.body, '\n') - 1;
    return status(200, "{\"stored\":" + std::to_string(frames) + ",\"doubled\":0,\"received_wall_ns\":" +
                           std::to_string(now_ns + 40) + ",\"answered_wall_ns\":" + std::to_string(now_ns + 60) + "}");
  }
  [[nodiscard]] static nlohmann::json header(const HttpRequest& request) {
    return nlohmann::json::parse(request.body.substr(0, request.body.find('\n')));
  }
};

TEST_F(Senders, TheHeadIsSentOnceAndAgainWhereItIsAskedFor) {
  fill(*spool, 1, 2);
  start();
  (void)sender->step();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].url, "https://there:1/v1/frames");
  EXPECT_EQ(header(asked[0])["head"]["host"], "box");
  EXPECT_EQ(header(asked[0])["client"], "me");
  fill(*spool, 3, 3);
  bool knows = false;
  receiver = [&](const HttpRequest& request) {
    if (!std::exchange(knows, true)) return status(409);
    return taken(request);
  };
  (void)sender->step(true);
  ASSERT_EQ(asked.size(), 3u);
  EXPECT_FALSE(header(asked[1]).contains("head"));
  EXPECT_TRUE(header(asked[2]).contains("head"));
  EXPECT_EQ(spool->waiting_frames(), 0u);
  EXPECT_EQ(sender->trouble(), "");
}

TEST_F(Senders, FailuresKeepEveryFrameAndWaitLongerEachTimeWithJitterUpToHalfAMinute) {
  fill(*spool, 1, 5);
  for (const auto& answer :
       {status(400), status(401), status(404), status(500), status(503), status(200, "<html>log in</html>"),
        status(200, R"({"stored":1,"doubled":0})"), status(302), status(409),
        Result<HttpResponse>(fail(ErrorCode::unavailable, "no connection"))}) {
    receiver = [answer](const HttpRequest&) { return answer; };
    start();
    (void)sender->step();
    EXPECT_NE(sender->trouble(), "");
    EXPECT_EQ(spool->waiting_frames(), 5u);
  }
  std::vector<std::int64_t> waits;
  start();
  for (int n = 0; n < 12; ++n) {
    const Duration wait = sender->step();
    waits.push_back(wait.ns);
    now_ns += wait.ns;
  }
  double longest = 0.5;
  for (const std::int64_t wait : waits) {
    EXPECT_GE(static_cast<double>(wait) * 1e-9, 0.5 * longest - 1e-6);
    EXPECT_LE(static_cast<double>(wait) * 1e-9, longest + 1e-6);
    longest = std::min(30.0, 2 * longest);
  }
  EXPECT_NE(waits[10], waits[11]);
  EXPECT_EQ(sender->notes().size(), 1u);  // once, not each time
  receiver = [this](const HttpRequest& request) { return taken(request); };
  now_ns += 30'000'000'000;
  (void)sender->step();
  EXPECT_EQ(spool->waiting_frames(), 0u);
  EXPECT_THAT(sender->notes(), ElementsAre("gets through again"));
}

TEST_F(Senders, ItComesBackNoSoonerThanItIsAskedTo) {
  fill(*spool, 1, 1);
  receiver = [](const HttpRequest&) { return status(429, "", "20"); };
  start();
  EXPECT_GE(sender->step().ns, 20'000'000'000);
  const std::size_t before = asked.size();
  now_ns += 19'000'000'000;
  (void)sender->step();
  EXPECT_EQ(asked.size(), before);
}

TEST_F(Senders, AFrameThatWillNeverBeTakenIsGivenUpAloneAndTold) {
  fill(*spool, 1, 9);
  std::vector<std::uint64_t> kept;
  receiver = [&](const HttpRequest& request) {
    const auto some = numbers(request.body.substr(request.body.find('\n') + 1));
    if (std::ranges::find(some, 6u) != some.end()) return status(422, R"({"error":"frame 6","frame_never_fits":true})");
    kept.insert(kept.end(), some.begin(), some.end());
    return taken(request);
  };
  start();
  (void)sender->step();
  EXPECT_THAT(kept, ElementsAre(1, 2, 3, 4, 5, 7, 8, 9));
  EXPECT_EQ(spool->lost_frames(), 1u);
  EXPECT_EQ(header(asked.back())["lost_frames"], 1);
  EXPECT_THAT(sender->notes(), ::testing::Contains(HasSubstr("refused and is lost")));
}

// Kills: a proxy in between that refuses requests and so empties the buffer.
TEST_F(Senders, WhatAProxyRefusesWaitsAndOnlyASmallerRequestIsTried) {
  for (const unsigned code : {413u, 422u}) {
    fill(*spool, code * 10, code * 10 + 8);
    receiver = [&](const HttpRequest&) { return status(code, "<html>too large</html>"); };
    start();
    for (int i = 0; i < 50; ++i) {
      (void)sender->step();
      now_ns += 1'000'000'000;
    }
    EXPECT_EQ(spool->lost_frames(), 0u) << code;
    receiver = [&](const HttpRequest& request) { return taken(request); };
    for (int i = 0; i < 50; ++i) {
      (void)sender->step(true);
      now_ns += 1'000'000'000;
    }
    EXPECT_EQ(sender->counts().frames, 9u) << code;
  }
}

// The frames of an earlier monitor, and of this one, in one buffer.
struct TwoStreams : Senders {
  std::string refused_by = "stream_is_refused";
  std::vector<std::uint64_t> delivered;
  void SetUp() override {
    fill(*spool, 1, 40);
    spool.reset();  // it stays, for it was not delivered
    spool = open(stream_b);
    fill(*spool, 1, 9);
    receiver = [this](const HttpRequest& request) -> Result<HttpResponse> {
      if (header(request)["stream"] == stream_a)
        return status(400, refused_by.empty() ? R"({"error":"'host' is missing"})"
                                              : R"({"error":"'host' is missing","stream_is_refused":true})");
      for (const std::uint64_t n : numbers(request.body.substr(request.body.find('\n') + 1))) delivered.push_back(n);
      return taken(request);
    };
  }
};

TEST_F(TwoStreams, OneThatIsRefusedForEverIsSetAsideWithItsReasonAndTheOthersGoOn) {
  start();
  (void)sender->step();
  EXPECT_EQ(delivered.size(), 9u);
  EXPECT_EQ(spool->waiting_frames(), 0u);
  EXPECT_EQ(spool->lost_frames(), 0u);
  EXPECT_EQ(spool->aside_frames(), 40u);
  EXPECT_EQ(sender->trouble(), "");
  EXPECT_THAT(sender->notes(),
              ElementsAre(::testing::AllOf(HasSubstr("40 frames of one stream"), HasSubstr("'host' is missing"),
                                           HasSubstr("/set-aside/" + stream_a))));
  const std::size_t before = asked.size();
  fill(*spool, 10, 12);
  (void)sender->step(true);
  EXPECT_EQ(delivered.size(), 12u);
  EXPECT_EQ(asked.size(), before + 1);  // nobody is asked about it any more
}

TEST_F(TwoStreams, OneThatSomebodyRefusesWithoutSayingForEverWaitsAndTheOthersGoOn) {
  refused_by.clear();
  start();
  EXPECT_GT(sender->step().ns, 0);
  EXPECT_EQ(delivered.size(), 9u);
  EXPECT_EQ(spool->waiting_frames(), 40u);
  EXPECT_EQ(spool->aside_frames(), 0u);
  EXPECT_THAT(sender->trouble(), HasSubstr("'host' is missing"));
  for (int n = 0; n < 3; ++n) (void)sender->step(true);
  EXPECT_EQ(sender->notes().size(), 1u);  // once, not each time
  receiver = [this](const HttpRequest& request) { return taken(request); };
  (void)sender->step(true);
  EXPECT_EQ(spool->waiting_frames(), 0u);
  EXPECT_EQ(sender->trouble(), "");
}

TEST_F(Senders, WhatAStreamIsThatATornHeadTellsNoMoreIsSetAsideAndNotAskedAbout) {
  fill(*spool, 1, 5);
  spool.reset();
  std::ofstream(scratch.file("buffer/" + stream_a + "/head"), std::ios::trunc) << R"({"client":"me","he)";
  spool = open(stream_b);
  fill(*spool, 1, 2);
  start();
  (void)sender->step();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(header(asked[0])["stream"], stream_b);
  EXPECT_EQ(spool->aside_frames(), 5u);
}

// Kills: times so large that their difference overflows, and a doubt of years.
TEST_F(Senders, TimesThatNoClockTellsMakeNoOffset) {
  start();
  std::uint64_t n = 0;
  for (const auto& [received, answered] : {std::pair("-9223372036854775808", "9223372036854775807"),
                                           {"9223372036854775807", "-9223372036854775808"},
                                           {"3999999999999999999", "1"},
                                           {"-1", "-1"}}) {
    receiver = [come = std::string(received), gone = std::string(answered)](const HttpRequest&) {
      return status(200,
                    R"({"stored":1,"doubled":0,"received_wall_ns":)" + come + R"(,"answered_wall_ns":)" + gone + "}");
    };
    ++n;
    fill(*spool, n, n);
    (void)sender->step(true);
    fill(*spool, 100 + n, 100 + n);
    (void)sender->step(true);
    EXPECT_FALSE(header(asked.back()).contains("clock")) << received;
  }
}

TEST_F(Senders, APasswordIsTheLineOfItsFileWithItsSpaces) {
  std::ofstream(scratch.file("password")) << " pass word:1 \r\n";
  plan.user = "alice";
  plan.password_file = scratch.file("password");
  fill(*spool, 1, 1);
  start();
  (void)sender->step();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_THAT(asked[0].headers, ::testing::Contains("Authorization: Basic YWxpY2U6IHBhc3Mgd29yZDoxIA=="));
  std::ofstream(scratch.file("password")) << "one\ntwo\n";
  fill(*spool, 2, 2);
  (void)sender->step(true);
  EXPECT_EQ(asked.size(), 1u);  // not sent with half of it
  EXPECT_THAT(sender->trouble(), HasSubstr("one line"));
}

TEST_F(Senders, TheClocksOffsetLiesBetweenWhatTheAnswersAllowAndAStepBeginsAnew) {
  std::int64_t ahead = 1'000'000'000;
  receiver = [&](const HttpRequest& request) {
    const auto frames = std::ranges::count(request.body, '\n') - 1;
    const std::int64_t there = now_ns + 30'000'000 + ahead;  // 30 ms there, 10 ms back
    now_ns += 40'000'000;
    return status(200, "{\"stored\":" + std::to_string(frames) + ",\"doubled\":0,\"received_wall_ns\":" +
                           std::to_string(there) + ",\"answered_wall_ns\":" + std::to_string(there) + "}");
  };
  start();
  for (std::uint64_t n = 1; n <= 4; ++n) {
    fill(*spool, n, n);
    (void)sender->step(true);
    if (n == 2) ahead = -5'000'000'000;
  }
  EXPECT_FALSE(header(asked[0]).contains("clock"));
  for (const auto& [request, truth] : {std::pair(1, std::int64_t{1'000'000'000}), std::pair(3, ahead)}) {
    const auto clock = header(asked[static_cast<std::size_t>(request)])["clock"];
    const auto offset = clock["offset_ns"].get<std::int64_t>(), doubt = clock["doubt_ns"].get<std::int64_t>();
    EXPECT_EQ(doubt, 20'000'000);
    EXPECT_LE(std::abs(offset - truth), doubt);
  }
}

TEST_F(Senders, TheTokenComesFromItsFileEachTimeAndIsInNoMessage) {
  std::ofstream(scratch.file("token")) << "0123456789abcdef\n";
  plan.token_file = scratch.file("token");
  fill(*spool, 1, 1);
  start();
  receiver = [](const HttpRequest&) { return status(401); };
  (void)sender->step();
  EXPECT_THAT(asked[0].headers, ::testing::Contains("Authorization: Bearer 0123456789abcdef"));
  std::ofstream(scratch.file("token")) << "fedcba9876543210\n";
  (void)sender->step(true);
  EXPECT_THAT(asked[1].headers, ::testing::Contains("Authorization: Bearer fedcba9876543210"));
  std::filesystem::remove(scratch.file("token"));
  (void)sender->step(true);
  EXPECT_EQ(asked.size(), 2u);  // not sent without it
  for (const std::string& note : sender->notes()) EXPECT_EQ(note.find("0123456789"), std::string::npos) << note;
  EXPECT_EQ(asked[0].body.find("0123456789abcdef"), std::string::npos);
}

// A receiver that takes for ever to answer: were a frame to wait for it, this would never end.
TEST_F(Senders, FramesAreKeptWhileARequestHangs) {
  std::mutex mutex;
  std::condition_variable changed;
  bool hangs = false, released = false;
  receiver = [&](const HttpRequest& request) {
    std::unique_lock lock(mutex);
    hangs = true;
    changed.notify_all();
    changed.wait(lock, [&] { return released; });
    return taken(request);
  };
  fill(*spool, 1, 1);
  start();
  std::thread thread([&] { (void)sender->step(); });
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return hangs; });
  }
  fill(*spool, 2, 2000);
  EXPECT_EQ(spool->waiting_frames(), 2000u);
  {
    const std::scoped_lock lock(mutex);
    released = true;
  }
  changed.notify_all();
  thread.join();
  EXPECT_EQ(spool->waiting_frames(), 0u);
}

TEST(RemoteSpecs, PlainTextGoesToThisMachineAloneUnlessAskedForAndSecretsStandInFiles) {
  ScratchFolder scratch{"spec"};
  std::ofstream(scratch.file("token")) << "0123456789abcdef\n";
  const auto made = [&](const std::string& text) {
    const auto spec = parse_sink_spec("remote:" + text + ",buffer=" + scratch.file("b"));
    EXPECT_TRUE(spec) << text;
    return make_remote_stream(*spec);
  };
  for (const std::string& right :
       {std::string("https://collector:9787"), std::string("https://10.0.0.1/prony/"),
        std::string("http://127.0.0.1:9787"), std::string("http://localhost:9787"), std::string("http://[::1]:9787"),
        std::string("http://far:9787,plain-http=yes"),
        "https://c,token-file=" + scratch.file("token") + ",every=1s,buffer-size=5MB,name=x"})
    EXPECT_TRUE(made(right)) << right;
  for (const std::string& wrong :
       {std::string(""), std::string("collector:9787"), std::string("http://collector:9787"),
        std::string("http://127.0.0.1.evil.org"), std::string("https://user:secret@collector"),
        std::string("https://c?x=1"), std::string("ftp://c"), std::string("https://"),
        std::string("https://c,token=0123456789abcdef"), std::string("https://c,token-file=/no/such"),
        std::string("https://c,user=a"), "https://c,user=a:b,password-file=" + scratch.file("token"),
        std::string("https://c,every=1ms"), std::string("https://c,buffer-size=10"),
        std::string("http://far,plain-http=no"), std::string("https://c,ca=/no/such")})
    EXPECT_FALSE(made(wrong)) << wrong;
  const auto secret = made("https://user:secret@collector");
  EXPECT_EQ((secret.error().what + secret.error().where + secret.error().fix).find("secret"), std::string::npos);
}

}  // namespace
}  // namespace prony::test
