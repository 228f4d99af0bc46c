#include "workloads/prompt_order.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace prony {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Prompt prompt(const std::string& id, std::int64_t tokens, const std::string& session = "",
              const std::string& group = "") {
  Prompt made{id, "text"};
  made.asked_tokens = tokens;
  made.session = session;
  made.group = group;
  return made;
}

std::vector<PromptLength> lengths(const std::vector<Prompt>& prompts) {
  std::vector<PromptLength> all;
  for (const Prompt& p : prompts) all.push_back(prompt_length(p));
  return all;
}

std::vector<std::string> ids(const std::vector<Prompt>& prompts) {
  std::vector<std::string> all;
  for (const Prompt& p : prompts) all.push_back(p.id);
  return all;
}

std::vector<std::string> in_order(const std::vector<Prompt>& prompts, PromptOrder order, std::uint64_t seed = 1) {
  return ids(ordered(prompts, lengths(prompts), order, seed));
}

const std::vector<Prompt> mixed{prompt("a", 9, "", "x"), prompt("b", 3, "", "y"), prompt("s1", 5, "S", "x"),
                                prompt("c", 7, "", "y"), prompt("s2", 1, "S"),    prompt("d", 3, "", "x")};

// Kills: turns sorted or shuffled on their own, so that the second is asked before the first.
TEST(PromptOrder, ASessionMovesAsOneAndItsTurnsStayInOrder) {
  EXPECT_THAT(in_order(mixed, PromptOrder::as_is), ElementsAre("a", "b", "s1", "c", "s2", "d"));
  EXPECT_THAT(in_order(mixed, PromptOrder::sorted), ElementsAre("b", "d", "s1", "s2", "c", "a"));
  EXPECT_THAT(in_order(mixed, PromptOrder::sorted_down), ElementsAre("a", "c", "s1", "s2", "b", "d"));
  EXPECT_THAT(in_order(mixed, PromptOrder::grouped), ElementsAre("a", "s1", "s2", "d", "b", "c"));
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto order = in_order(mixed, PromptOrder::shuffled, seed);
    const auto first = std::ranges::find(order, "s1");
    ASSERT_NE(first, order.end());
    EXPECT_EQ(*(first + 1), "s2");
    EXPECT_EQ(order.size(), 6U);
  }
}

TEST(PromptOrder, OneSeedIsOneOrderAndSeedsGiveAllOfThem) {
  const std::vector<Prompt> three{prompt("a", 1), prompt("b", 1), prompt("c", 1)};
  std::set<std::vector<std::string>> seen;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    EXPECT_EQ(in_order(three, PromptOrder::shuffled, seed), in_order(three, PromptOrder::shuffled, seed));
    seen.insert(in_order(three, PromptOrder::shuffled, seed));
  }
  EXPECT_EQ(seen.size(), 6U);
}

TEST(PromptOrder, ARangeHasBothItsEndsAndASessionWithAHoleInItGoes) {
  const auto left = [](const char* range) {
    return ids(within_range(mixed, lengths(mixed), *token_range_from(range)));
  };
  EXPECT_THAT(left("3..7"), ElementsAre("b", "c", "d"));  // s2 is too short, so s1 goes too
  EXPECT_THAT(left("..5"), ElementsAre("b", "s1", "s2", "d"));
  EXPECT_THAT(left("9.."), ElementsAre("a"));
  EXPECT_THAT(left("100.."), IsEmpty());
  for (const char* text : {"", "..", "5", "7..3", "-1..3", "a..b", "1...3", "1..2..3"})
    EXPECT_FALSE(token_range_from(text)) << text;
}

TEST(PromptOrder, LengthsThatNobodyCountedAreEstimatesAndSaySo) {
  Prompt told{"a", std::string(40, 'x')};
  told.before = {{"system", std::string(8, 'y')}};
  EXPECT_EQ(prompt_length(told).tokens, 12);
  EXPECT_TRUE(prompt_length(told).estimated);
  EXPECT_FALSE(prompt_length(mixed[0]).estimated);
}

}  // namespace
}  // namespace prony
