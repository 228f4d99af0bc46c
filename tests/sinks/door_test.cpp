// Limits of a door that need no network. Bugs in mind: one address that uses up the rate of all, a table of addresses
// that grows for ever, a token's prefix that passes, a secret told in an error.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/wall_times.hpp"
#include "sinks/rate_limit.hpp"
#include "sinks/token_file.hpp"
#include "sinks/web_config.hpp"

namespace prony {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Rates, OneAddressThatAsksTooOftenWaitsAndNobodyElse) {
  RateLimit rate({}, {2, 3});
  int passed = 0;
  for (int n = 0; n < 10; ++n) passed += rate.may("a", second_ns) ? 1 : 0;
  EXPECT_EQ(passed, 3);
  EXPECT_TRUE(rate.may("b", second_ns));
  EXPECT_TRUE(rate.may("a", 2 * second_ns));
  EXPECT_TRUE(rate.may("a", 2 * second_ns));
  EXPECT_FALSE(rate.may("a", 2 * second_ns));
}

TEST(Rates, AllTogetherAreBoundedAndARefusalCostsNothing) {
  RateLimit rate({1, 2}, {1, 1});
  EXPECT_TRUE(rate.may("a", second_ns));
  for (int n = 0; n < 5; ++n) EXPECT_FALSE(rate.may("a", second_ns));
  EXPECT_TRUE(rate.may("b", second_ns));
  EXPECT_FALSE(rate.may("c", second_ns));
  EXPECT_TRUE(rate.may("c", 2 * second_ns));
}

TEST(Rates, NoRateMeansAsOftenAsAnybodyLikes) {
  RateLimit rate({}, {});
  for (int n = 0; n < 1000; ++n) EXPECT_TRUE(rate.may("a", second_ns));
}

TEST(Rates, WhatIsRememberedOfAddressesIsBoundedAndTheBusyOnesStay) {
  RateLimit rate({}, {1, 5}, 100);
  for (int n = 0; n < 5; ++n) EXPECT_TRUE(rate.may("busy", second_ns));
  for (int n = 0; n < 5000; ++n) (void)rate.may("a" + std::to_string(n), second_ns);
  EXPECT_LE(rate.keys(), 100u);
  EXPECT_FALSE(rate.may("busy", second_ns));  // a flood of others does not give it a fresh start
}

TEST(Tokens, AreLinesOfAFileLongEnoughAndNeverTold) {
  const auto tokens = parse_tokens("# ours\n  0123456789abcdef  \r\n\nfedcba9876543210", "t");
  ASSERT_TRUE(tokens);
  EXPECT_THAT(*tokens, ElementsAre("0123456789abcdef", "fedcba9876543210"));
  for (const char* wrong :
       {"", "# none\n", "short", "0123456789 abcdef", "0123456789abcdef\x01", "s\xc3\xa9same0123456789"}) {
    const auto refused = parse_tokens(wrong, "t");
    ASSERT_FALSE(refused) << wrong;
    EXPECT_THAT(refused.error().what + refused.error().fix, Not(HasSubstr("0123456789"))) << wrong;
  }
}

TEST(Tokens, Base64GoesThereAndBack) {
  for (const std::string text : {"", "a", "ab", "abc", "alice:pass word:1"})
    EXPECT_EQ(from_base64(to_base64(text)), text);
  EXPECT_EQ(to_base64("alice:pass word:1"), "YWxpY2U6cGFzcyB3b3JkOjE=");
}

}  // namespace
}  // namespace prony
