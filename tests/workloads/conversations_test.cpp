#include "workloads/conversations.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

namespace prony {
namespace {

using ::testing::ElementsAre;

std::vector<Prompt> of_sessions(const std::vector<std::string>& sessions) {
  std::vector<Prompt> prompts;
  for (const std::string& session : sessions) {
    prompts.push_back({std::to_string(prompts.size()), "x"});
    prompts.back().session = session;
  }
  return prompts;
}

TEST(Conversations, StandInTheOrderOfTheirFirstTurnsAndTurnsInThatOfTheSet) {
  const auto prompts = of_sessions({"b", "", "a", "b", "", "a", "b"});
  const Conversations all(prompts);
  ASSERT_EQ(all.size(), 4U);
  EXPECT_THAT(all.turns(0), ElementsAre(0, 3, 6));
  EXPECT_THAT(all.turns(1), ElementsAre(1));
  EXPECT_THAT(all.turns(2), ElementsAre(2, 5));
  EXPECT_THAT(all.turns(3), ElementsAre(4));
  EXPECT_TRUE(all.any());
}

TEST(Conversations, PromptsOfNoneAreOneEach) {
  const auto prompts = of_sessions({"", "", "alone"});
  const Conversations all(prompts);
  EXPECT_EQ(all.size(), 3U);
  EXPECT_FALSE(all.any());
  EXPECT_EQ(Conversations({}).size(), 0U);
}

}  // namespace
}  // namespace prony
