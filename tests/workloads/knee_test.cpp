#include "workloads/knee.hpp"

#include <gtest/gtest.h>

#include "workloads/draw.hpp"

namespace prony {
namespace {

// How many trials, for a server that bears everything up to `truth`.
std::size_t run(KneeSearch& search, double truth) {
  std::size_t trials = 0;
  while (const auto rate = search.next()) {
    search.tell(*rate <= truth);
    ++trials;
  }
  return trials;
}

TEST(KneeSearch, TheTruthIsBracketedWithinFivePerCentFromAnyFirstGuess) {
  for (const double truth : {0.02, 1.0, 7.3, 480.0})
    for (const double first : {0.1, 1.0, 10.0, 100.0}) {
      KneeSearch search(first, 0.05, 40);
      run(search, truth);
      ASSERT_TRUE(search.met() && search.missed()) << truth << " from " << first;
      EXPECT_LE(*search.met(), truth);
      EXPECT_GT(*search.missed(), truth);
      EXPECT_LE(*search.missed(), *search.met() * 1.05);
    }
}

TEST(KneeSearch, ItEndsAfterItsTrialsAndTellsWhatItHas) {
  KneeSearch search(1, 0.0001, 6);
  EXPECT_EQ(run(search, 3), 6U);
  EXPECT_LE(*search.met(), 3);
}

TEST(KneeSearch, AServerThatMeetsNothingOrEverythingEndsTheSearchToo) {
  KneeSearch none(1, 0.05, 100), all(1, 0.05, 100);
  EXPECT_LT(run(none, 0), 15U);
  EXPECT_FALSE(none.met());
  EXPECT_LT(run(all, 1e12), 25U);
  EXPECT_FALSE(all.missed());
  EXPECT_GT(*all.met(), 5e5);
}

// Kills: bounds that cross when a trial comes out otherwise than the one before, and a search that never ends.
TEST(KneeSearch, ChanceInTrialsNeitherCrossesTheBoundsNorEndsNever) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    KneeSearch search(4, 0.02, 50);
    Draw draw(seed);
    for (int i = 0; i < 60 && search.next(); ++i) search.tell(*search.next() * (0.8 + 0.4 * draw.uniform()) <= 10);
    EXPECT_FALSE(search.next());
    if (search.met() && search.missed()) {
      EXPECT_LE(*search.met(), *search.missed()) << seed;
    }
  }
}

}  // namespace
}  // namespace prony
