#include "workloads/prompt_requests.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "workloads/prompt_preparation.hpp"

namespace prony {
namespace {

using nlohmann::json;
using State = PromptRequests::State;
using ::testing::HasSubstr;

Prompt turn(const std::string& id, const std::string& text, const std::string& session) {
  Prompt prompt{id, text};
  prompt.session = session;
  return prompt;
}

TEST(PromptRequests, ATurnIsAskedWithTheTurnsBeforeItAndTheAnswersThatTheyGot) {
  PromptRequests requests{AskSettings{}};
  requests.worker_reads_messages(true);
  Prompt first = turn("a.1", "One?", "a");
  first.before = {{"system", "Be short."}};
  const Prompt second = turn("a.2", "Two?", "a");
  EXPECT_FALSE(requests.continues(first, 1));
  const json one = requests.request(first, "a.1", 1, 0);
  EXPECT_EQ(one["text"], "One?");
  EXPECT_EQ(one["before"], json::parse(R"([{"role":"system","content":"Be short."}])"));
  EXPECT_EQ(one["return_text"], true);
  EXPECT_EQ(one["attributes"]["session"], "a");
  EXPECT_EQ(requests.state(second, 1), State::waits);
  EXPECT_EQ(requests.state(second, 2), State::ready) << "another round is another conversation";
  requests.answered(first, 1, {{"text", "Answer 1"}});
  EXPECT_EQ(requests.state(second, 1), State::ready);
  EXPECT_TRUE(requests.continues(second, 1));
  const json two = requests.request(second, "a.2", 1, 1);
  EXPECT_EQ(two["before"], json::parse(R"([{"role":"system","content":"Be short."},{"role":"user","content":"One?"},
                                           {"role":"assistant","content":"Answer 1"}])"));
  EXPECT_EQ(two["text"], "Two?");
}

TEST(PromptRequests, AModelWithoutATemplateGetsTheConversationAsOneText) {
  PromptRequests requests{AskSettings{}};
  const Prompt first = turn("a.1", "One?", "a"), second = turn("a.2", "Two?", "a");
  EXPECT_EQ(requests.request(first, "a.1", 1, 0)["text"], "One?");
  requests.answered(first, 1, {{"text", "Yes."}});
  const json two = requests.request(second, "a.2", 1, 1);
  EXPECT_EQ(two["text"], "One?\nYes.\nTwo?");
  EXPECT_FALSE(two.contains("before"));
}

TEST(PromptRequests, WhatAnAnswerIsScoredByGoesIntoTheRunWithIt) {
  PromptRequests requests{AskSettings{}};
  Prompt prompt{"1000", "Write."};
  EXPECT_FALSE(requests.request(prompt, "1000", 1, 0).contains("attributes"));
  prompt.instructions = R"({"instruction_id_list":["punctuation:no_comma"],"kwargs":[{}]})";
  EXPECT_EQ(requests.request(prompt, "1000", 1, 0)["attributes"]["instructions"], prompt.instructions);
}

// Kills: a conversation that goes on after a turn that nobody answered.
TEST(PromptRequests, AConversationThatBrokeOffIsNotGoneOnWith) {
  PromptRequests requests{AskSettings{}};
  const Prompt first = turn("a.1", "One?", "a"), second = turn("a.2", "Two?", "a"), other = turn("b.1", "x", "b");
  (void)requests.request(first, "a.1", 1, 0);
  requests.failed(first, 1);
  EXPECT_EQ(requests.state(second, 1), State::never);
  EXPECT_EQ(requests.state(other, 1), State::ready);
}

// Kills: every request of a seed called off, or the same ones whatever the seed.
TEST(PromptRequests, AsManyAreCalledOffAsWereAskedForAndTheSameOnesFromOneSeed) {
  AskSettings settings;
  settings.cancel_rate = 0.25;
  settings.cancel_after_ns = 5'000'000;
  const auto chosen = [&](std::uint32_t seed) {
    settings.seed = seed;
    PromptRequests requests(settings);
    std::set<int> numbers;
    for (int i = 0; i < 4000; ++i) {
      const json request = requests.request({"1", "x"}, "1", 1, static_cast<std::uint64_t>(i));
      if (!request.contains("cancel_after_ns")) continue;
      EXPECT_EQ(request["cancel_after_ns"], 5'000'000);
      numbers.insert(i);
    }
    return numbers;
  };
  const auto one = chosen(1);
  EXPECT_NEAR(static_cast<double>(one.size()), 1000, 110);
  EXPECT_EQ(one, chosen(1));
  EXPECT_NE(one, chosen(2));
  settings.cancel_rate = 0;
  EXPECT_TRUE(chosen(1).empty());
  settings.cancel_rate = 1;
  EXPECT_EQ(chosen(1).size(), 4000U);
}

TEST(PromptRequests, WhatWasAskedForGoesAlongSoThatTheRunCanTellWhetherItCame) {
  AskSettings settings;
  settings.ignore_eos = true;
  settings.truncate_tokens = 99;
  PromptRequests requests(settings);
  Prompt prompt{"1", ""};
  prompt.synthetic = SyntheticText{20, 1};
  prompt.asked_tokens = 20;
  prompt.max_tokens = 7;
  prompt.group = "prefix 1";
  const json request = requests.request(prompt, "1", 2, 0);
  EXPECT_EQ(request["counts"], (json{{"asked_prompt_tokens", 20}, {"asked_output_tokens", 7}}));
  EXPECT_EQ(request["attributes"], (json{{"group", "prefix 1"}}));
  EXPECT_EQ(request["repeat"], 2);
  EXPECT_EQ(request["truncate_prompt_tokens"], 99);
  EXPECT_FALSE(request["text"].get<std::string>().empty());
  EXPECT_FALSE(PromptRequests(AskSettings{}).request({"1", "x"}, "1", 1, 0).contains("counts"));
}

TEST(PromptPreparation, ACalibrationLearnsWhatATokeniserMakesOfWordsAndWhatStandsAround) {
  int asked = 0;
  const auto ratio = learn_tokens_per_word([&](const json& request) {
    ++asked;
    EXPECT_EQ(request["warm_up"], true);
    EXPECT_EQ(request["max_tokens"], 1);
    const std::string text = request["text"];
    const auto words = 1 + std::count(text.begin(), text.end(), ' ');
    return json{{"type", "result"}, {"prompt_tokens", 3 * words + 5}};
  });
  ASSERT_TRUE(ratio);
  EXPECT_EQ(asked, 2);
  EXPECT_DOUBLE_EQ(ratio->per_word, 3);
  EXPECT_DOUBLE_EQ(ratio->around, 5);
  EXPECT_FALSE(learn_tokens_per_word([](const json&) { return json(); }));
  EXPECT_FALSE(learn_tokens_per_word([](const json&) { return json{{"type", "result"}}; }));
}

// Kills: the range taken on bytes where the tokeniser could have been asked.
TEST(PromptPreparation, LengthsAreTheTokenisersWhereItTellsThem) {
  const std::vector<Prompt> prompts{{"a", "x"}, {"b", "a long text of many bytes"}, {"c", "y"}};
  const std::map<std::string, int> counts{{"x", 50}, {"a long text of many bytes", 2}, {"y", 7}};
  const AskWorker ask = [&](const json& request) {
    json told = json::array();
    for (const json& text : request["texts"]) told.push_back(counts.at(text));
    return json{{"type", "tokenised"}, {"counts", told}};
  };
  PromptSelection selection;
  selection.order = PromptOrder::sorted;
  selection.range = TokenRange{0, 10};
  WorkloadFacts facts;
  const auto chosen = selected_prompts(prompts, selection, true, ask, facts);
  ASSERT_TRUE(chosen) << chosen.error().what;
  ASSERT_EQ(chosen->size(), 2U);
  EXPECT_EQ(chosen->at(0).id, "b");
  EXPECT_EQ(chosen->at(1).id, "c");
  EXPECT_THAT(facts, ::testing::Contains(::testing::Pair("prompts.left_out", "1")));
  facts.clear();
  const auto guessed = selected_prompts(prompts, selection, false, ask, facts);
  ASSERT_TRUE(guessed);
  EXPECT_THAT(facts, ::testing::Contains(::testing::Pair("prompts.lengths", HasSubstr("estimated"))));
  selection.range = TokenRange{1000, {}};
  EXPECT_FALSE(selected_prompts(prompts, selection, true, ask, facts));
}

}  // namespace
}  // namespace prony
