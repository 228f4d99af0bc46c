// Non-negative least squares against solutions that are known.
#include "attribute/nnls.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace prony::attribution {
namespace {

constexpr FitColumns all{true, true, true, true};

FitSums sums_of(const std::vector<std::pair<FitVector, double>>& rows) {
  FitSums sums;
  for (const auto& [x, y] : rows) sums.add(x, y);
  return sums;
}

// Kills: a solution that is the ordinary one with what is below zero merely cut off. Lawson and Hanson's own kind of
// example: ordinary least squares gives (2, −1), cutting gives (2, 0), the right answer is (1.5, 0)… by hand below.
TEST(NonNegativeLeastSquares, WhereAnOrdinaryCostWouldBeBelowZeroTheOthersAreFittedWithoutIt) {
  // Columns (1,1,0) and (0,1,1); y = 2·a − 1·b = (2, 1, −1). Alone, a is best at (2 + 1)/2 = 1.5.
  const FitSums sums = sums_of({{{1, 0, 0, 0}, 2}, {{1, 1, 0, 0}, 1}, {{0, 1, 0, 0}, -1}});
  const FitVector cost = non_negative_least_squares(sums, all);
  EXPECT_NEAR(cost[0], 1.5, 1e-12);
  EXPECT_EQ(cost[1], 0);
}

TEST(NonNegativeLeastSquares, CostsOfAnyScaleComeBackFromRowsWithoutNoise) {
  std::mt19937_64 random(7);
  const FitVector truth{0.02, 0.5, 4e-7, 30};
  FitSums sums;
  for (int i = 0; i < 60; ++i) {
    const auto draw = [&](double most) { return most * static_cast<double>(random() >> 11) * 0x1p-53; };
    const FitVector x{draw(2000), draw(50), draw(4e6), 0.1 + draw(0.1)};
    double y = 0;
    for (std::size_t c = 0; c < fit_columns; ++c) y += truth[c] * x[c];
    sums.add(x, y);
  }
  const FitVector cost = non_negative_least_squares(sums, all);
  for (std::size_t c = 0; c < fit_columns; ++c) EXPECT_NEAR(cost[c], truth[c], 1e-6 * truth[c]) << c;
}

// Kills: a set of columns that is good but not the best. Karush, Kuhn and Tucker: with g = Xᵀ(y − X·c), g is 0 where c
// is above zero, and not above zero where c is zero.
TEST(NonNegativeLeastSquares, EverySolutionOfRandomProblemsMeetsTheConditionsOfKarushKuhnAndTucker) {
  std::mt19937_64 random(11);
  std::normal_distribution<double> normal(0, 1);
  std::size_t at_the_edge = 0;
  for (int problem = 0; problem < 500; ++problem) {
    FitSums sums;
    for (int row = 0; row < 12; ++row) {
      FitVector x;
      for (double& one : x) one = normal(random) + 0.5;
      sums.add(x, normal(random));
    }
    const FitVector cost = non_negative_least_squares(sums, all);
    for (std::size_t i = 0; i < fit_columns; ++i) {
      double gradient = sums.with_y[i];
      for (std::size_t j = 0; j < fit_columns; ++j) gradient -= sums.products[i][j] * cost[j];
      EXPECT_GE(cost[i], 0);
      EXPECT_LE(cost[i] > 0 ? std::abs(gradient) : gradient, 1e-9);
      at_the_edge += cost[i] == 0 ? 1 : 0;
    }
  }
  EXPECT_GT(at_the_edge, 100U);
}

TEST(NonNegativeLeastSquares, ColumnsThatMayNotBeUsedOrHoldNothingGetNothing) {
  const FitSums sums = sums_of({{{1, 2, 0, 1}, 5}, {{2, 1, 0, 3}, 4}, {{3, 5, 0, 1}, 9}});
  const FitVector cost = non_negative_least_squares(sums, {true, false, true, true});
  EXPECT_EQ(cost[1], 0);
  EXPECT_EQ(cost[2], 0);
  EXPECT_GT(cost[0] + cost[3], 0);
}

TEST(Condition, OfOrthogonalColumnsIsOneAndOfColumnsThatGoTogetherItHasNoEnd) {
  EXPECT_NEAR(condition_of(sums_of({{{1, 0, 0, 0}, 0}, {{0, 1, 0, 0}, 0}}), all), 1, 1e-12);
  EXPECT_NEAR(condition_of(sums_of({{{1, 0, 0, 0}, 0}, {{0, 900, 0, 0}, 0}}), all), 1, 1e-12);  // lengths do not matter
  EXPECT_TRUE(std::isinf(condition_of(sums_of({{{1, 2, 0, 0}, 0}, {{2, 4, 0, 0}, 0}, {{3, 6, 0, 0}, 0}}), all)));
  // Two columns whose angle has the cosine r: √((1 + r)/(1 − r)). Here r = 0.8.
  EXPECT_NEAR(condition_of(sums_of({{{1, 0.8, 0, 0}, 0}, {{0, 0.6, 0, 0}, 0}}), all), 3, 1e-9);
}

}  // namespace
}  // namespace prony::attribution
