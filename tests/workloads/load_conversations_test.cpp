// Conversations and several models under a load.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "load_worker.hpp"

namespace prony {
namespace {

using namespace load_worker;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// Two conversations of three and two turns and a prompt of none. The worker tells of a turn what it was asked after.
const std::string talks = R"(
    if len({m.get("attributes", {}).get("session", m["id"]) for m in held}) < len(held): os.abort()
    for m in held:
        say(type="result", id=m["id"], finish="length", output_tokens=2,
            text=m["id"] + "<" + ",".join(b["content"] for b in m.get("before", [])))
    held = []
)";
std::vector<Prompt> talk_prompts() {
  std::vector<Prompt> prompts;
  for (const auto& [id, session] :
       {std::pair{"a1", "a"}, {"a2", "a"}, {"b1", "b"}, {"c", ""}, {"a3", "a"}, {"b2", "b"}}) {
    prompts.push_back({id, id, {}});
    prompts.back().session = session;
  }
  return prompts;
}

TEST(LoadConversations, TurnsOfAConversationGoOneAfterAnotherOnTheStreamThatBeganIt) {
  for (const std::size_t streams : {1U, 2U, 8U}) {
    Load load(worker(talks, "'streams','schedule','messages'"));
    load.options.prompts = talk_prompts();
    const auto outcome = load.run(closed(streams, 6), 0);
    ASSERT_TRUE(outcome) << outcome.error().what;
    EXPECT_THAT(outcome->failures, IsEmpty());
    EXPECT_THAT(ends(*outcome), ElementsAre("6", "0", "0", "0"));
    EXPECT_THAT(outcome->answers,
                UnorderedElementsAre("a1<", "a2<a1,a1<", "a3<a1,a1<,a2,a2<a1,a1<", "b1<", "b2<b1,b1<", "c<"))
        << streams;
  }
}

TEST(LoadConversations, OfAnOpenLoadConversationsArriveAndTheirTurnsFollowTheAnswers) {
  Load load(worker(R"(
    for m in held: say(type="result", id=m["id"], finish="length", text=str(m["at_ns"]) + " " + str(time.monotonic_ns()))
    held = []
)",
                   "'streams','schedule','messages'"));
  load.options.prompts = talk_prompts();
  load.options.turn_think_ns = 5'000'000;
  const auto outcome = load.run(at_once(3), 0);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(ends(*outcome), ElementsAre("6", "0", "0", "0"));
  ASSERT_EQ(outcome->answers.size(), 6U);
  std::vector<std::int64_t> due, answered;
  for (const std::string& answer : outcome->answers) {
    std::stringstream words(answer);
    words >> due.emplace_back() >> answered.emplace_back();
  }
  EXPECT_EQ(due[0], due[1]);
  EXPECT_EQ(due[0], due[2]);
  // The first turns were answered before any later one was due, and its user thought before it.
  for (std::size_t later = 3; later < 6; ++later) EXPECT_GE(due[later], answered[0] + 5'000'000);
  EXPECT_GE(due[5], answered[3] + 5'000'000) << "the third turn comes after the second";
}

TEST(LoadConversations, AfterATurnThatFailedItsConversationIsNotAskedOnAndTheOthersAre) {
  Load load(worker(R"(
    for m in held:
        if m["id"] == "a1": say(type="error", error={"code": "busy", "message": "503", "id": "a1"})
        else: ok(m)
    held = []
)",
                   "'streams','messages'"));
  load.options.prompts = talk_prompts();
  const auto outcome = load.run(closed(2, 6), 0);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(ends(*outcome), ElementsAre("3", "1", "0", "2"));
  EXPECT_THAT(outcome->failures, ElementsAre("request a1: 503 (busy)"));
}

TEST(LoadConversations, ALoadOfMoreRequestsThanPromptsBeginsConversationsAgainFromTheirBeginning) {
  Load load(worker(talks, "'streams','messages'"));
  load.options.prompts = talk_prompts();
  LoadLevel level;
  level.streams = 1;
  level.requests = 12;
  const auto outcome = load.run(level, 6);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(outcome->failures, IsEmpty());
  ASSERT_EQ(outcome->answers.size(), 12U);
  EXPECT_EQ(outcome->answers[0], "a1#1<");
  EXPECT_EQ(outcome->answers[6], "a1#2<") << "nothing of the first round";
  EXPECT_EQ(outcome->answers[7], "a2#2<a1,a1#2<");
}

TEST(LoadModels, SeveralModelsHaveTheSameLoadOneAfterAnotherAndALevelEach) {
  Load load(worker(R"(
    for m in held: ok(m, text=m["attributes"]["model"] + " " + str(m["level"]))
    held = []
)"));
  load.options.model = "folder/one";
  load.options.more_models = {"two"};
  LoadPlan plan;
  plan.several_levels = true;
  plan.most_streams = 2;
  plan.requests = 2;
  plan.next_level = [](const LevelSeen* last) {
    LoadLevel level = closed(2, 2);
    level.name = "2 streams";
    return last == nullptr ? std::optional(level) : std::nullopt;
  };
  load.options.load = std::move(plan);
  load.options.prompts = {{"1", "x", {}}, {"2", "x", {}}};
  const auto outcome = load.drive();
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(outcome->failures, IsEmpty());
  EXPECT_THAT(outcome->answers, ElementsAre("one 1", "one 1", "two 2", "two 2"));
  EXPECT_THAT(ends(*outcome), ElementsAre("4", "0", "0", "0"));
  EXPECT_EQ(fact(*outcome, "load.sent"), "4");
  EXPECT_EQ(fact(*outcome, "load.level.1"), "one: 2 streams");
  EXPECT_EQ(fact(*outcome, "load.level.2"), "two: 2 streams");
}

}  // namespace
}  // namespace prony
