// The collector without its door. Bugs in mind: a frame that comes twice counted twice, one that comes late taken for
// the newest, frames of a request that failed half kept, a machine that two monitors watch added to itself, a stream of
// somebody else written to, what was taken away by age taken in again.
#include "collect/receiver.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "../support/scratch.hpp"
#include "../support/wall_times.hpp"

namespace prony::collect {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

struct Sender {
  std::string client = "me", stream = std::string(32, 'a'), host = "box", boot = "boot-1", simulated;
  std::int64_t begun_ns = noon_ns;
  [[nodiscard]] std::string body(std::vector<std::pair<int, double>> frames, bool with_head = true,
                                 json more = json::object()) const {
    json head = {{"prony_remote", 1}, {"client", client}, {"stream", stream}, {"sent_wall_ns", noon_ns}};
    head.update(more);
    if (with_head)
      head["head"] = {{"host", host},
                      {"boot", boot},
                      {"begun_wall_ns", begun_ns},
                      {"interval_ns", second_ns},
                      {"simulated", simulated},
                      {"series",
                       {{{"name", "p.gross_j"}, {"unit", "J"}, {"kind", "counter"}, {"origin", "measured"}},
                        {{"name", "p.power_w"}, {"unit", "W"}, {"kind", "gauge"}, {"origin", "measured"}}}}};
    std::string text = head.dump() + "\n";
    for (const auto& [n, joules] : frames)
      text += json{{"sequence", n},
                   {"wall_ns", begun_ns + n * second_ns},
                   {"monotonic_ns", n * second_ns},
                   {"values", {joules, nullptr}}}
                  .dump() +
              "\n";
    return text;
  }
};

struct Collectors : ::testing::Test {
  ScratchFolder scratch{"collect"};
  std::optional<Answers> answers;
  std::int64_t now = second_ns;

  void SetUp() override { reopen(); }
  void reopen() {
    answers.reset();
    auto archive = Archive::open(scratch.file("c.sqlite"));
    ASSERT_TRUE(archive) << archive.error().what;
    answers.emplace(std::move(*archive));
  }
  HttpAnswer post(const std::string& body, const std::string& path = "/v1/frames") {
    now += second_ns;
    return answers->answer({path, "", "POST", body, noon_ns + now}, now, noon_ns + now);
  }
  json got(const std::string& path) {
    now += 2 * second_ns;
    const HttpAnswer answer = answers->answer({path, "", "GET", "", noon_ns + now}, now, noon_ns + now);
    EXPECT_EQ(answer.status, 200u) << answer.body;
    return json::parse(answer.body);
  }
};

TEST_F(Collectors, WhatComesTwiceIsKeptOnceAlsoAfterARestart) {
  const Sender me;
  auto told = json::parse(post(me.body({{1, 1.0}, {2, 2.0}})).body);
  EXPECT_EQ(told["stored"], 2);
  told = json::parse(post(me.body({{2, 2.0}, {3, 3.0}}, false)).body);
  EXPECT_EQ(told["stored"], 1);
  EXPECT_EQ(told["doubled"], 1);
  reopen();
  told = json::parse(post(me.body({{3, 3.0}, {4, 4.0}}, false)).body);
  EXPECT_EQ(told["stored"], 1);
  const json row = got("/v1/clients")["clients"][0];
  EXPECT_EQ(row["frames"], 4);
  EXPECT_EQ(row["doubled_frames"], 2);
  EXPECT_EQ(row["missing_frames"], 0);
}

TEST_F(Collectors, AStreamIsDescribedOnceAndAskedForWhereItIsNotKnown) {
  const Sender me;
  EXPECT_EQ(post(me.body({{1, 1.0}}, false)).status, 409u);
  EXPECT_EQ(post(me.body({})).status, 200u);
  EXPECT_EQ(post(me.body({{1, 1.0}}, false)).status, 200u);
}

TEST_F(Collectors, ALateFrameIsKeptAndIsNotTheNewestAndGapsAreTold) {
  const Sender me;
  ASSERT_EQ(post(me.body({{1, 1.0}, {5, 5.0}})).status, 200u);
  json row = got("/v1/clients/me");
  EXPECT_EQ(row["missing_frames"], 3);
  EXPECT_EQ(row["streams"][0]["values"].size(), 1u);  // absent is absent
  ASSERT_EQ(post(me.body({{3, 3.0}}, false, {{"lost_frames", 2}})).status, 200u);
  row = got("/v1/clients/me");
  EXPECT_EQ(row["streams"][0]["values"][0]["value"], 5.0);
  EXPECT_EQ(row["missing_frames"], 2);
  EXPECT_EQ(row["lost_frames"], 2);
}

TEST_F(Collectors, ARequestThatFailsLeavesNothingBehind) {
  const Sender me;
  std::string body = me.body({{1, 1.0}});
  body += R"({"sequence":2,"wall_ns":8,"monotonic_ns":2,"values":[1]})";
  const HttpAnswer answer = post(body);
  EXPECT_EQ(answer.status, 422u);
  EXPECT_THAT(answer.body, HasSubstr("frame 2 has 1 values, and its stream 2 series"));
  EXPECT_EQ(json::parse(answer.body)["frame_never_fits"], true);
  EXPECT_EQ(got("/v1/clients")["clients"].size(), 0u);
  EXPECT_EQ(json::parse(post(me.body({{1, 1.0}})).body)["stored"], 1);
  const HttpAnswer other = post("{}");
  EXPECT_EQ(other.status, 400u);
  EXPECT_FALSE(json::parse(other.body).contains("stream_is_refused"));
}

TEST_F(Collectors, NobodyWritesToTheStreamOfAnother) {
  Sender me;
  ASSERT_EQ(post(me.body({{1, 1.0}})).status, 200u);
  me.client = "mallory";
  const HttpAnswer answer = post(me.body({{2, 9.0}}));
  EXPECT_EQ(answer.status, 400u);
  EXPECT_EQ(json::parse(answer.body)["stream_is_refused"], true);
  EXPECT_EQ(got("/v1/clients")["clients"].size(), 1u);
}

TEST_F(Collectors, TotalsAddStreamsAndHostsAndCountAMachineOnce) {
  Sender first, later, twice, other, toy;
  later.stream = std::string(32, 'b');
  later.begun_ns = noon_ns + 100 * second_ns;  // the same machine, after the first
  twice.stream = std::string(32, 'c');
  twice.client = "second monitor";
  twice.begun_ns = noon_ns + 101 * second_ns;  // while `later` runs
  other.stream = std::string(32, 'd');
  other.client = "other";
  other.boot = "boot-2";
  toy.stream = std::string(32, 'e');
  toy.client = "toy";
  toy.simulated = "laptop";
  ASSERT_EQ(post(first.body({{1, 5.0}, {10, 10.0}})).status, 200u);
  ASSERT_EQ(post(later.body({{1, 1.0}, {10, 7.0}})).status, 200u);
  ASSERT_EQ(post(twice.body({{8, 6.0}})).status, 200u);
  ASSERT_EQ(post(other.body({{9, 100.0}})).status, 200u);
  ASSERT_EQ(post(toy.body({{9, 1000.0}})).status, 200u);
  const json totals = got("/v1/totals")["totals"];
  ASSERT_EQ(totals.size(), 2u);  // a gauge has none; what is simulated is never added to what is real
  EXPECT_EQ(totals[0]["sum"], 10.0 + 7.0 + 100.0);
  EXPECT_EQ(totals[0]["hosts"], 2);
  EXPECT_EQ(totals[0]["streams_left_out_as_seen_twice"], 1);
  EXPECT_EQ(totals[1]["simulated"], true);
  EXPECT_EQ(totals[1]["sum"], 1000.0);
}

TEST_F(Collectors, ClockOffsetsAreShownWithTheirDoubtAndOnlyWhereThereIsOne) {
  const Sender me;
  ASSERT_EQ(post(me.body({{1, 1.0}})).status, 200u);
  EXPECT_FALSE(got("/v1/clients")["clients"][0].contains("clock_offset_s"));
  ASSERT_EQ(post(me.body({}, false, {{"clock", {{"offset_ns", -1'500'000'000}, {"doubt_ns", 250'000'000}}}})).status,
            200u);
  ASSERT_EQ(post(me.body({{2, 1.0}}, false)).status, 200u);
  const json row = got("/v1/clients")["clients"][0];
  EXPECT_EQ(row["clock_offset_s"], -1.5);
  EXPECT_EQ(row["clock_offset_doubt_s"], 0.25);
}

TEST_F(Collectors, WhatWasTakenAwayByAgeIsNotTakenInAgainAndCountsStay) {
  const Sender me;
  ASSERT_EQ(post(me.body({{1, 1.0}, {2, 2.0}})).status, 200u);
  const std::int64_t between = noon_ns + now + 1;
  ASSERT_EQ(post(me.body({{3, 3.0}})).status, 200u);
  EXPECT_EQ(answers->forget_before(between), false);
  EXPECT_EQ(json::parse(post(me.body({{1, 1.0}, {2, 2.0}, {3, 3.0}})).body)["doubled"], 3);
  EXPECT_EQ(got("/v1/clients")["clients"][0]["frames"], 3);
  auto file = Database::open(scratch.file("c.sqlite"), SQLITE_OPEN_READONLY, "c");
  ASSERT_TRUE(file);
  EXPECT_EQ(*file->integer("SELECT group_concat(sequence) FROM frame"), 3);
}

// Kills: a file that is read as a whole each minute, while everybody who sends waits.
TEST_F(Collectors, WhatIsTooOldIsFoundByAnIndexAndGoesInSlices) {
  Sender me, other;
  other.stream = std::string(32, 'b');
  other.client = "other";
  std::int64_t bound = 0;
  for (int n = 1; n <= 10; ++n) {
    if (n == 9) bound = noon_ns + now + 1;
    ASSERT_EQ(post(me.body({{n, 1.0}})).status, 200u);
    ASSERT_EQ(post(other.body({{n, 1.0}})).status, 200u);
    ASSERT_EQ(post("identifier=edge&message=x", "/log").status, 200u);
  }
  answers.reset();
  auto archive = Archive::open(scratch.file("c.sqlite"));
  ASSERT_TRUE(archive);
  auto file = Database::open(scratch.file("c.sqlite"), SQLITE_OPEN_READONLY, "c");
  ASSERT_TRUE(file);
  for (const auto& [chosen, index] : {std::pair(frames_before, "frame_by_age"), {messages_before, "message_by_age"}}) {
    auto plan = file->prepare("EXPLAIN QUERY PLAN " + std::string(chosen));
    ASSERT_TRUE(plan);
    std::string words;
    while (plan->step().value_or(false)) words += plan->text(3) + "\n";
    EXPECT_THAT(words, HasSubstr(std::string("USING COVERING INDEX ") + index)) << words;
    EXPECT_THAT(words, ::testing::Not(HasSubstr("SCAN"))) << words;
    EXPECT_THAT(words, ::testing::Not(HasSubstr("TEMP B-TREE"))) << words;
  }
  const auto left = [&](const char* table) {
    return file->integer("SELECT count(*) FROM " + std::string(table))->value_or(-1);
  };
  std::vector<std::int64_t> seen;
  for (bool more = true; more && seen.size() < 10;) {
    const auto slice = archive->forget_before(bound, 6);
    ASSERT_TRUE(slice) << slice.error().what;
    more = *slice;
    seen.push_back(left("frame"));
  }
  EXPECT_THAT(seen, ::testing::ElementsAre(14, 8, 4));
  EXPECT_EQ(left("message"), 2);
  EXPECT_EQ(*file->integer("SELECT group_concat(forgotten_through, '') FROM stream"), 88);
}

// Kills: a table of numbers that grows for ever.
TEST_F(Collectors, OnlyTheLastNumbersOfAStreamOfMessagesAreKept) {
  const auto send = [&](std::int64_t number) {
    ASSERT_EQ(post("identifier=edge&message=x&stream=s&sequence=" + std::to_string(number), "/log").status, 200u);
  };
  for (std::int64_t n = 1; n <= 30; ++n) send(n);
  send(numbers_known + 20);
  send(numbers_known + 20);
  send(20);  // so old that it counts as known
  send(40);
  const json row = got("/v1/clients")["clients"][0];
  EXPECT_EQ(row["messages"], 32);
  EXPECT_EQ(row["doubled_messages"], 2);
  auto file = Database::open(scratch.file("c.sqlite"), SQLITE_OPEN_READONLY, "c");
  ASSERT_TRUE(file);
  EXPECT_EQ(*file->integer("SELECT min(sequence) FROM message_number"), 21);
}

TEST_F(Collectors, HeflwrsClientsAreStoredAndCountedAndKnownAgainByTheirNumbers) {
  for (int n = 0; n < 2; ++n)
    EXPECT_EQ(post("identifier=edge+1&message=Cpu+Usage%3A+1.5%25%2C+Bytes+Sent%3A+100", "/simple_log").status, 200u);
  for (int n = 0; n < 2; ++n)
    EXPECT_EQ(post("identifier=edge+1&message=VDD+In%3A+5000&stream=s&sequence=1", "/log").status, 200u);
  EXPECT_EQ(post("message=x", "/log").status, 400u);
  const json row = got("/v1/clients")["clients"][0];
  EXPECT_EQ(row["dialect"], "heflwr");
  EXPECT_EQ(row["messages"], 3);  // the first two have no number: nobody can say that they are one
  EXPECT_EQ(row["doubled_messages"], 1);
  EXPECT_EQ(row["sent_bytes"], 200);
  EXPECT_EQ(row["last_vdd_in_w"], 5.0);
  EXPECT_EQ(got("/v1/clients/edge 1")["heflwr"]["last_message"], "VDD In: 5000");
}

TEST_F(Collectors, OneClientThatSendsTooOftenIsToldToWaitAndOthersAreNot) {
  Sender me, other;
  other.stream = std::string(32, 'b');
  other.client = "other";
  unsigned refused = 0;
  for (int n = 0; n < 100; ++n)
    refused +=
        answers->answer({"/v1/frames", "", "POST", me.body({}), noon_ns}, second_ns, noon_ns).status == 429 ? 1 : 0;
  EXPECT_EQ(refused, 40u);
  EXPECT_EQ(answers->answer({"/v1/frames", "", "POST", other.body({}), noon_ns}, second_ns, noon_ns).status, 200u);
  EXPECT_EQ(answers->answer({"/v1/frames", "", "POST", me.body({}), noon_ns}, 2 * second_ns, noon_ns).status, 200u);
}

TEST_F(Collectors, AnotherCollectorAndAnotherProgramsFileAreLeftAlone) {
  EXPECT_THAT(Archive::open(scratch.file("c.sqlite")).error().what, HasSubstr("another prony collect"));
  {
    auto foreign = Database::open(scratch.file("f.sqlite"), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "f");
    ASSERT_TRUE(foreign->execute("CREATE TABLE mine (x)"));
  }
  EXPECT_EQ(Archive::open(scratch.file("f.sqlite")).error().code, ErrorCode::usage);
  EXPECT_FALSE(Archive::open(scratch.file("no/such/folder.sqlite")));
}

}  // namespace
}  // namespace prony::collect
