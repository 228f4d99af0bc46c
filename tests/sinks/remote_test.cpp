// The remote sink: its words, its buffer on disk, and what it does with answers. Bugs in mind: a token on the command
// line, plain text to a stranger, a buffer that grows for ever, the newest frames given up instead of the oldest, a
// torn line sent, a live monitor's frames taken over, frames thrown away because a proxy says 400, a portal's "200 OK"
// taken for a receipt, clients that come back all at once, and a sampler that waits. With a real receiver it is met in
// tests/collect/remote_pair_test.cpp and tests/e2e/test_collect.py.
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

#include "../support/scratch.hpp"
#include "sinks/stream.hpp"

namespace prony {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* head = R"({"client":"me","head":{"host":"box"}})";
const std::string stream_a(32, 'a'), stream_b(32, 'b');

std::string line(std::uint64_t n, std::size_t padding = 0) {
  return "{\"sequence\":" + std::to_string(n) + ",\"x\":\"" + std::string(padding, 'x') + "\"}";
}
std::vector<std::uint64_t> numbers(const std::string& lines) {
  std::vector<std::uint64_t> found;
  for (std::size_t at = 0; at < lines.size(); at = lines.find('\n', at) + 1)
    found.push_back(
        nlohmann::json::parse(lines.substr(at, lines.find('\n', at) - at))["sequence"].get<std::uint64_t>());
  return found;
}

struct Spools : ::testing::Test {
  ScratchFolder scratch{"remote"};
  std::unique_ptr<Spool> open(const std::string& stream, std::uint64_t bound = 64'000'000) {
    auto spool = Spool::open(scratch.file("buffer"), bound, stream, head);
    EXPECT_TRUE(spool) << (spool ? "" : spool.error().what);
    return spool ? std::move(*spool) : nullptr;
  }
  static void fill(Spool& spool, std::uint64_t from, std::uint64_t to, std::size_t padding = 0) {
    for (std::uint64_t n = from; n <= to; ++n) ASSERT_TRUE(spool.append(n, line(n, padding), Instant{0}));
  }
  // Everything that waits, in order.
  static std::vector<std::uint64_t> drain(Spool& spool) {
    std::vector<std::uint64_t> all;
    while (const auto batch = spool.peek(10'000, 1000)) {
      const auto some = numbers(batch->lines);
      EXPECT_EQ(some.size(), batch->frames);
      all.insert(all.end(), some.begin(), some.end());
      spool.done(*batch);
    }
    return all;
  }
  [[nodiscard]] std::size_t files() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(scratch.file("buffer")))
      count += entry.is_regular_file() ? 1 : 0;
    return count;
  }
};

TEST_F(Spools, LinesComeBackInOrderAndWhatIsDoneLeavesNothingBehind) {
  auto spool = open(stream_a);
  fill(*spool, 1, 500, 1000);
  EXPECT_EQ(spool->waiting_frames(), 500u);
  const auto all = drain(*spool);
  ASSERT_EQ(all.size(), 500u);
  EXPECT_TRUE(std::ranges::is_sorted(all));
  EXPECT_EQ(spool->waiting_bytes(), 0u);
  EXPECT_LE(files(), 2u);  // the head, and at most the file in use
  fill(*spool, 501, 501);
  EXPECT_THAT(drain(*spool), ElementsAre(501));
  spool.reset();
  EXPECT_TRUE(std::filesystem::is_empty(scratch.file("buffer")));
}

TEST_F(Spools, WhatIsNotDoneComesAgainAndAFrameLargerThanABatchComesAlone) {
  auto spool = open(stream_a);
  fill(*spool, 1, 3);
  fill(*spool, 4, 4, 50'000);
  auto batch = spool->peek(10'000, 2);
  EXPECT_THAT(numbers(batch->lines), ElementsAre(1, 2));
  spool->give_back();
  batch = spool->peek(10'000, 1000);
  EXPECT_THAT(numbers(batch->lines), ElementsAre(1, 2, 3));
  spool->done(*batch);
  batch = spool->peek(10'000, 1000);
  EXPECT_THAT(numbers(batch->lines), ElementsAre(4));
}

TEST_F(Spools, BeyondTheBoundTheOldestAreGivenUpAndCounted) {
  auto spool = open(stream_a, 1'000'000);
  fill(*spool, 1, 3000, 1000);  // three times as much as it takes
  EXPECT_LE(spool->waiting_bytes(), 1'000'000u);
  EXPECT_GT(spool->waiting_bytes(), 900'000u);
  const std::uint64_t lost = spool->lost_frames();
  const auto batch = spool->peek(10, 1);
  EXPECT_EQ(batch->lost, lost);
  const auto left = drain(*spool);
  EXPECT_EQ(left.front(), lost + 1);
  EXPECT_EQ(left.back(), 3000u);
  EXPECT_EQ(left.size() + lost, 3000u);
}

TEST_F(Spools, WhatIsUnderWayIsNotGivenUpMeanwhile) {
  auto spool = open(stream_a, 1'000'000);
  fill(*spool, 1, 100, 1000);
  const auto batch = spool->peek(10'000, 5);
  fill(*spool, 101, 2000, 1000);
  spool->done(*batch);
  const auto left = drain(*spool);
  EXPECT_EQ(left.front(), 6u);  // of the file that was read from
  EXPECT_EQ(left.size() + spool->lost_frames() + 5, 2000u);
}

TEST_F(Spools, AKilledMonitorsFramesAreTakenOverWithoutTheTornLineAndALiveOnesAreNot) {
  {
    auto killed = open(stream_a);
    fill(*killed, 1, 20);
    std::filesystem::copy(scratch.file("buffer"), scratch.file("as it was"), std::filesystem::copy_options::recursive);
  }
  std::filesystem::remove_all(scratch.file("buffer"));
  std::filesystem::rename(scratch.file("as it was"), scratch.file("buffer"));
  std::ofstream(scratch.file("buffer/" + stream_a + "/00000000000000000001.frames"), std::ios::app)
      << "{\"sequence\":21,";
  auto next = open(stream_b);
  EXPECT_EQ(next->adopted_frames(), 20u);
  fill(*next, 1, 1);
  auto third = open(std::string(32, 'c'));
  EXPECT_EQ(third->adopted_frames(), 0u);  // both are somebody's
  const auto batch = next->peek(100'000, 1000);
  EXPECT_EQ(batch->stream, stream_a);
  EXPECT_EQ(batch->head, head);
  EXPECT_EQ(batch->frames, 20u);
  next->done(*batch);
  EXPECT_FALSE(std::filesystem::exists(scratch.file("buffer/" + stream_a)));
  EXPECT_THAT(drain(*next), ElementsAre(1));
}

TEST_F(Spools, FilesThatSomebodyTookAwayAreLostAndSaidToBe) {
  auto spool = open(stream_a);
  fill(*spool, 1, 10);
  for (const auto& entry : std::filesystem::directory_iterator(scratch.file("buffer/" + stream_a)))
    if (entry.path().extension() == ".frames") std::filesystem::remove(entry.path());
  EXPECT_EQ(spool->peek(1000, 10), std::nullopt);
  EXPECT_EQ(spool->lost_frames(), 10u);
  fill(*spool, 11, 12);
  EXPECT_THAT(drain(*spool), ElementsAre(11, 12));
}

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
        std::string("https://c,user=a"), std::string("https://c,every=1ms"), std::string("https://c,buffer-size=10"),
        std::string("http://far,plain-http=no"), std::string("https://c,ca=/no/such")})
    EXPECT_FALSE(made(wrong)) << wrong;
  const auto secret = made("https://user:secret@collector");
  EXPECT_EQ((secret.error().what + secret.error().where + secret.error().fix).find("secret"), std::string::npos);
}

}  // namespace
}  // namespace prony
