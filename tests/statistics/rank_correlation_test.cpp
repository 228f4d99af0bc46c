#include "statistics/rank_correlation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace prony::statistics {
namespace {

using ::testing::ElementsAre;
using Values = std::vector<double>;

TEST(RankCorrelation, EqualValuesShareTheMeanOfTheirRanks) {
  EXPECT_THAT(ranks_of(Values{10, 30, 20, 30}), ElementsAre(1, 3.5, 2, 3.5));
  EXPECT_THAT(ranks_of(Values{7, 7, 7}), ElementsAre(2, 2, 2));
  EXPECT_TRUE(ranks_of(Values{}).empty());
}

TEST(RankCorrelation, IsThatOfTheRanksWhateverTheCurve) {
  const Values x{1, 2, 3, 4, 5};
  EXPECT_EQ(rank_correlation(x, Values{1, 10, 100, 1e3, 1e9}), 1);
  EXPECT_EQ(rank_correlation(x, Values{5, 4, 3, 2, 1}), -1);
  // One pair of neighbours exchanged among five: 1 − 6·2/(5·24).
  EXPECT_NEAR(rank_correlation(x, Values{2, 1, 3, 4, 5}).value(), 0.9, 1e-12);
  // With ties, as scipy.stats.spearmanr has it: ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4.
  EXPECT_NEAR(rank_correlation(Values{1, 2, 2, 3}, Values{1, 2, 3, 4}).value(), 0.9486832980505138, 1e-12);
}

TEST(RankCorrelation, IsAbsentWhereItSaysNothing) {
  EXPECT_FALSE(rank_correlation(Values{1, 2}, Values{1, 2}));
  EXPECT_FALSE(rank_correlation(Values{1, 2, 3}, Values{1, 2}));
  EXPECT_FALSE(rank_correlation(Values{1, 2, 3}, Values{5, 5, 5}));
  EXPECT_FALSE(rank_correlation(Values{1, 2, std::numeric_limits<double>::quiet_NaN()}, Values{1, 2, 3}));
}

}  // namespace
}  // namespace prony::statistics
