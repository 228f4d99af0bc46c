// Which process numbers a look asks for. Bugs in mind stand in front of each test.
#include "process/new_numbers.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

namespace prony {
namespace {

using Numbers = std::vector<std::int64_t>;

struct Asked {
  NewNumbers numbers;
  std::int64_t now_ms = 0;
  // A look after `ms`; nullopt: everybody is to be listed. `there`: those that are found.
  std::optional<Numbers> look(std::int64_t ms, std::int64_t newest, const Numbers& there = {}, std::size_t most = 100) {
    now_ms += ms;
    if (!numbers.advance(Instant{} + milliseconds(now_ms), newest, most)) return std::nullopt;
    Numbers asked;
    numbers.ask([&](std::int64_t number) {
      asked.push_back(number);
      return std::find(there.begin(), there.end(), number) != there.end();
    });
    return asked;
  }
};

Asked begun(std::int64_t newest) {
  Asked asked;
  EXPECT_FALSE(asked.look(0, newest)) << "who was there before is not told by any number";
  EXPECT_FALSE(asked.look(100, newest)) << "a number may have been out before the first look";
  return asked;
}

// Bug: the first or the last of those that were born is left out.
TEST(NewNumbers, EveryNumberSinceTheLookBeforeIsAskedFor) {
  Asked asked = begun(50);
  EXPECT_EQ(asked.look(100, 50), Numbers{});
  EXPECT_EQ(asked.look(100, 53, {51, 52, 53}), (Numbers{51, 52, 53}));
  EXPECT_EQ(asked.look(100, 54, {54}), Numbers{54}) << "who was found is not asked for again";
}

// Bug: who does not show yet when its number is out is never found; or numbers of threads are asked for ever.
TEST(NewNumbers, WhoDoesNotShowYetIsAskedForAgainForASecondAndAtTwoLooks) {
  Asked asked = begun(50);
  EXPECT_EQ(asked.look(100, 51), Numbers{51});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(asked.look(100, 51), Numbers{51});
  EXPECT_EQ(asked.look(100, 51), Numbers{});
  EXPECT_EQ(asked.look(100, 52), Numbers{52});
  EXPECT_EQ(asked.look(5000, 52), Numbers{52}) << "one look that came late";
  EXPECT_EQ(asked.look(5000, 52), Numbers{});
}

// Bug: numbers begin anew, and whoever was born around that is not asked for.
TEST(NewNumbers, WhereTheyBeginAnewOrAreTooManyEverybodyIsListedNowAndAtTheNextLook) {
  Asked asked = begun(500);
  EXPECT_FALSE(asked.look(100, 300));
  EXPECT_FALSE(asked.look(100, 302)) << "one that was out may not have shown";
  EXPECT_EQ(asked.look(100, 303), (Numbers{301, 302, 303}));
  EXPECT_FALSE(asked.look(100, 403));
  EXPECT_FALSE(asked.look(100, 403));
  EXPECT_EQ(asked.look(100, 404, {404}), Numbers{404});
  EXPECT_EQ(asked.look(100, 500, {}, 96), (Numbers{[] {
              Numbers all;
              for (std::int64_t number = 405; number <= 500; ++number) all.push_back(number);
              return all;
            }()}));
  EXPECT_FALSE(asked.look(100, 501, {}, 96)) << "those that wait count as well";
}

// Bug: what is not known is taken for "nobody was born".
TEST(NewNumbers, WhereTheNewestIsNotKnownEverybodyIsListed) {
  Asked asked = begun(50);
  EXPECT_FALSE(asked.look(100, -1));
  EXPECT_FALSE(asked.look(100, 60));
  EXPECT_FALSE(asked.look(100, 60));
  EXPECT_EQ(asked.look(100, 61), Numbers{61});
}

// Bug: a number that is free again is put at the end, and what is asked is not ascending any more.
TEST(NewNumbers, ANumberThatMayBeAnothersIsAskedForInItsPlaceOnce) {
  Asked asked = begun(50);
  asked.numbers.ask_again(Instant{}, 900);
  asked.numbers.ask_again(Instant{}, 20);
  asked.numbers.ask_again(Instant{}, 20);
  EXPECT_TRUE(asked.numbers.holds(900));
  EXPECT_FALSE(asked.numbers.holds(51));
  EXPECT_EQ(asked.look(100, 51, {20, 51, 900}), (Numbers{20, 51, 900}));
  EXPECT_EQ(asked.look(100, 51), Numbers{});
}

// Bug: the way round is taken for the way on.
TEST(NewNumbers, WhatWasGivenOutBetweenGoesRound) {
  EXPECT_TRUE(given_out_between(10, 12, 11));
  EXPECT_FALSE(given_out_between(10, 12, 10));
  EXPECT_FALSE(given_out_between(10, 12, 13));
  EXPECT_TRUE(given_out_between(32000, 400, 350));
  EXPECT_TRUE(given_out_between(32000, 400, 32001));
  EXPECT_FALSE(given_out_between(32000, 400, 20000));
}

}  // namespace
}  // namespace prony
