// A load through the whole driver, against workers in Python that behave as each test says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <set>
#include <sstream>

#include "../support/scratch.hpp"
#include "load_worker.hpp"
#include "workloads/arrivals.hpp"

namespace prony {
namespace {

using namespace load_worker;

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(LoadDriver, AnOpenLoadTellsTheWorkerEachInstantAndHoldsToItsSchedule) {
  Load load(worker(R"(
    for m in held: ok(m, text=str(m["at_ns"]))
    held = []
)"));
  LoadLevel level;
  level.streams = 8;
  level.times_ns = {0, 1'000'000, 1'000'000, 30'000'000, 1'500'000'000};
  const auto outcome = load.run(level);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(outcome->failures, IsEmpty());
  ASSERT_EQ(outcome->answers.size(), 5U);
  const std::int64_t begin = std::stoll(outcome->answers[0]);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(std::stoll(outcome->answers[i]) - begin, level.times_ns[i]);
  EXPECT_THAT(ends(*outcome), ElementsAre("5", "0", "0", "0"));
  EXPECT_THAT(outcome->facts, Contains(Pair("streams", "8")));
  ASSERT_EQ(load.seen.size(), 1U);
  EXPECT_EQ(load.seen[0].requests.size(), 5U);
  EXPECT_EQ(load.told.done, 5U);
  EXPECT_EQ(load.told.total, 5U);
}

// The worker answers only when it has four, and looks whether a fifth comes: fewer would hang, more would be told.
TEST(LoadDriver, AClosedLoadHasExactlyItsStreamsUnderWay) {
  Load load(worker(R"(
    while len(held) >= 4 or done + len(held) == 20 and held:
        if select.select([0], [], [], 0.02)[0]: break
        m = held.pop(0); done += 1
        ok(m, text=str(most))
        if done <= 16: break
)",
                   "'streams'"));
  const auto outcome = load.run(closed(4, 20));
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(ends(*outcome), ElementsAre("20", "0", "0", "0"));
  EXPECT_THAT(outcome->answers, Each("4"));
}

TEST(LoadDriver, StreamsInStepBeginTogether) {
  Load load(worker(R"(
    if len(held) == 3:
        for m in held: ok(m, text=str(most))
        held = []
)"));
  LoadLevel level = closed(3, 9);
  level.in_step = true;
  const auto outcome = load.run(level);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(ends(*outcome), ElementsAre("9", "0", "0", "0"));
  EXPECT_THAT(outcome->answers, Each("3"));
}

TEST(LoadDriver, ALoadOfADurationGoesRoundThePromptsAndEnds) {
  Load load(worker(answers_all, "'streams'"));
  LoadLevel level;
  level.streams = 2;
  level.for_ns = 100'000'000;
  level.think_ns = 1'000'000;
  const auto outcome = load.run(level, 3);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_GE(outcome->requests_ok, 2U);
  EXPECT_EQ(fact(*outcome, "load.sent"), fact(*outcome, "load.ok"));
  EXPECT_THAT(outcome->failures, IsEmpty());
}

// Kills: sending all at once, with all of them in two processes' memory; and a driver that is quadratic in them.
TEST(LoadDriver, AHundredThousandPromptsAllAtOnceAreHeldByNobody) {
  Load load(worker(R"(
    out = []
    for m in held: out.append(json.dumps({"type": "result", "id": m["id"], "finish": "length", "text": str(most) if m["id"].endswith("#1000") else ""}))
    held = []
    if out: data = ("\n".join(out) + "\n").encode()
    while out and data: data = data[os.write(1, data):]
)"));
  load.options.keep_output = true;
  const auto outcome = load.run(at_once(100'000, 16), 100);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(ends(*outcome), ElementsAre("100000", "0", "0", "0"));
  ASSERT_EQ(outcome->answers.size(), 100'000U);
  EXPECT_LE(std::stoull(outcome->answers.back()), 16U + 256U);
}

TEST(LoadDriver, AWorkerThatDiesWithManyUnderWayLosesNoneTwiceAndForgetsNone) {
  Load load(worker(R"(
    for m in held[:10]: ok(m)
    held = held[10:]
    if most > 30: time.sleep(0.05); os.abort()
)"));
  const auto outcome = load.run(at_once(500, 40));
  ASSERT_TRUE(outcome) << outcome.error().what;
  const auto end = ends(*outcome);
  EXPECT_EQ(std::stoi(end[0]) + std::stoi(end[1]) + std::stoi(end[3]), 500);
  EXPECT_GT(std::stoi(end[1]), 20);
  EXPECT_GT(std::stoi(end[3]), 0);
  EXPECT_EQ(outcome->requests_failed, static_cast<std::size_t>(std::stoi(end[1])));
  EXPECT_THAT(outcome->failures, Contains(HasSubstr("the worker ended before it answered")));
  EXPECT_THAT(outcome->failures, Contains(HasSubstr("more request(s) failed")));
  EXPECT_LT(outcome->failures.size(), 30U) << "words for people end somewhere";
  std::set<std::string> failed;
  std::stringstream ids(fact(*outcome, "requests.failed"));
  for (std::string id; std::getline(ids, id, ',');) EXPECT_TRUE(failed.insert(id).second) << id;
  EXPECT_EQ(failed.size(), outcome->requests_failed);
}

TEST(LoadDriver, AnErrorFailsItsOwnRequestWhateverTheOrderOfAnswers) {
  Load load(worker(R"(
    if len(held) == 6:
        for m in reversed(held):
            if m["id"] == "4": say(type="error", error={"code": "busy", "message": "503", "id": "4"})
            else: ok(m, text=m["id"])
        held = []
)"));
  const auto outcome = load.run(at_once(6));
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(ends(*outcome), ElementsAre("5", "1", "0", "0"));
  EXPECT_THAT(outcome->answers, ElementsAre("1", "2", "3", "", "5", "6"));
  EXPECT_THAT(outcome->failures, ElementsAre("request 4: 503 (busy)"));
}

TEST(LoadDriver, AnAnswerThatNobodyAskedForOrThatComesTwiceIsNotTaken) {
  for (const char* reply : {R"(ok({"id": "other"}))", "ok(held[0]); ok(held[0])", R"(say(type="error", error={}))"}) {
    Load load(worker("    if len(held) == 3: " + std::string(reply) + "; held = []\n"));
    const auto outcome = load.run(at_once(3));
    ASSERT_TRUE(outcome) << outcome.error().what;
    const auto end = ends(*outcome);
    EXPECT_LE(std::stoi(end[0]), 1) << reply;
    EXPECT_EQ(std::stoi(end[0]) + std::stoi(end[1]), 3) << reply;
  }
}

TEST(LoadDriver, AHangingWorkerIsGivenUpAndAllThatWaitFail) {
  Load load(worker("    pass\n"));
  load.options.request_timeout_ns = 200'000'000;
  const auto outcome = load.run(at_once(5));
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(ends(*outcome), ElementsAre("0", "5", "0", "0"));
  EXPECT_THAT(outcome->failures, Contains(HasSubstr("did not answer within 0.2 s")));
}

TEST(LoadDriver, ACancelEndsWhatRunsAndNamesWhatWasNotBegun) {
  ScratchFolder scratch{"load"};
  const std::string mark = scratch.path() + "/mark";
  Load load(worker(R"(
    if held: open(')" +
                   mark + R"(', "w").close()
    if over == "all":
        for i, m in enumerate(held): say(type="result", id=m["id"], finish="stop", begun=i < 4)
        held = []
)"));
  auto done = std::async(std::launch::async, [&] { return load.run(at_once(1000, 4)); });
  while (!std::filesystem::exists(mark)) ::usleep(5000);
  load.workload->cancel(SIGINT);
  const auto outcome = done.get();
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(ends(*outcome), ElementsAre("0", "0", "4", "996"));
  EXPECT_THAT(outcome->failures, Contains("4 request(s) cancelled"));
  EXPECT_THAT(outcome->failures, Contains("996 request(s) not run"));
  EXPECT_EQ(outcome->exit.shell_code(), 0);
}

TEST(LoadDriver, AnEarlyFinishLetsWhatRunsEndAndTakesBackWhatWaits) {
  ScratchFolder scratch{"load"};
  const std::string mark = scratch.path() + "/mark";
  Load load(worker(R"(
    if held: open(')" +
                   mark + R"(', "w").close()
    if over:
        for i, m in enumerate(held):
            if i < 4: ok(m, text=over)
            else: say(type="result", id=m["id"], finish="stop", begun=False)
        held = []
)"));
  auto done = std::async(std::launch::async, [&] { return load.run(at_once(1000, 4)); });
  while (!std::filesystem::exists(mark)) ::usleep(5000);
  load.workload->finish_early();
  const auto outcome = done.get();
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(ends(*outcome), ElementsAre("4", "0", "0", "996"));
  EXPECT_EQ(outcome->answers.at(0), "only");
}

TEST(LoadDriver, LevelsFollowOneAnotherByWhatWasSeenAndRequestsCarryTheirNumber) {
  Load load(worker(R"(
    for m in held: ok(m, text=m["id"] + " in " + str(m["level"]), ttft_ns=7, late_ns=5)
    held = []
)"));
  for (int i = 1; i <= 3; ++i) load.options.prompts.push_back({"p" + std::to_string(i), "x", {}});
  LoadPlan plan;
  plan.several_levels = true;
  plan.most_streams = 2;
  plan.next_level = [&](const LevelSeen* last) -> std::optional<LoadLevel> {
    if (last != nullptr) load.seen.push_back(*last);
    return load.seen.size() < 2 ? std::optional(closed(2, 2)) : std::nullopt;
  };
  load.options.load = plan;
  const auto outcome = load.drive();
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(outcome->answers, ElementsAre("p1#1 in 1", "p2#1 in 1", "p3#1 in 2", "p1#2 in 2"));
  ASSERT_EQ(load.seen.size(), 2U);
  EXPECT_EQ(load.seen[1].number, 2U);
  EXPECT_EQ(load.seen[0].requests[0].ttft_ns, 7);
  EXPECT_EQ(load.seen[0].requests[0].late_ns, 5);
  EXPECT_EQ(load.seen[0].requests[0].output_tokens, 2);
}

// Each answer takes longer than the one before: the level is ended long before its thousand requests.
TEST(LoadDriver, AnOversaturatedLevelIsEndedEarlyWhereThatIsAskedFor) {
  Load load(worker(R"(
    if over:
        for m in held: say(type="result", id=m["id"], finish="stop", begun=False)
        held = []
    while len(held) > 1 and not select.select([0], [], [], 0.002)[0]:
        done += 1
        ok(held.pop(0), ttft_ns=done * 10**7, late_ns=0)
)"));
  LoadLevel level;
  level.streams = 64;
  for (int i = 0; i < 5000; ++i) level.times_ns.push_back(i * 200'000);
  LoadPlan plan;
  plan.most_streams = 64;
  plan.stop_oversaturated = true;
  plan.requests = 5000;
  load.options.prompts.push_back({"p", "x", {}});
  plan.next_level = [&](const LevelSeen* last) -> std::optional<LoadLevel> {
    if (last != nullptr) load.seen.push_back(*last);
    return last == nullptr ? std::optional(level) : std::nullopt;
  };
  load.options.load = plan;
  const auto outcome = load.drive();
  ASSERT_TRUE(outcome) << outcome.error().what;
  ASSERT_EQ(load.seen.size(), 1U);
  EXPECT_TRUE(load.seen[0].oversaturated);
  EXPECT_EQ(load.seen[0].requests.size() + load.seen[0].withdrawn, 5000U);
  EXPECT_GT(load.seen[0].withdrawn, 0U);
  EXPECT_THAT(outcome->failures, IsEmpty()) << "it was meant";
}

TEST(LoadDriver, AnEngineThatAnswersOneAfterAnotherIsNotAskedForMore) {
  Load load(worker(answers_all, "'seed'"));
  const auto outcome = load.run(at_once(3, 2));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().where, "several requests under way (--streams, --rate, …)");
  Load one(worker(answers_all, "'seed'"));
  EXPECT_TRUE(one.run(closed(1, 3)));
}

}  // namespace
}  // namespace prony
