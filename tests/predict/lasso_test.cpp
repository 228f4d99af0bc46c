// The Lasso against numbers that scikit-learn made (tests/predict/sklearn_pipelines.json: its version is in it), and
// against what any Lasso must do.
#include "predict/lasso.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "pipeline_check.hpp"
#include "predict/columns.hpp"

namespace prony::predict {
namespace {

// A matrix that looks random and is the same everywhere.
Matrix scattered(Eigen::Index rows, Eigen::Index columns) {
  std::uint64_t state = 42;
  Matrix x(rows, columns);
  for (Eigen::Index i = 0; i < rows; ++i)
    for (Eigen::Index j = 0; j < columns; ++j) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      x(i, j) = static_cast<double>(state >> 40) / 16777216.0 - 0.5;
    }
  return x;
}

TEST(Lasso, TheSixPipelinesHaveScikitLearnsCoefficients) {
  std::ifstream file(std::string(PRONY_SOURCE_DIR) + "/tests/predict/sklearn_pipelines.json");
  const auto kept = nlohmann::json::parse(file);
  ASSERT_EQ(kept["pipelines"].size(), 6U);
  for (const auto& one : kept["pipelines"])
    EXPECT_LE(largest_difference(kept, one), 1e-6) << one["kind"] << one["power"];
}

// Kills: the penalty not multiplied by the rows; the intercept penalised.
TEST(Lasso, TheConditionsOfItsMinimumHold) {
  const Matrix x = scattered(40, 8);
  Vector y = 3 * x.col(1) - 2 * x.col(4) + 0.1 * x.col(6);
  y.array() += 5;
  LassoOptions options;
  options.tolerance = 1e-14, options.max_iterations = 100000;
  const double alpha = 0.01;
  const auto fit = fit_lasso(x, y, alpha, options);
  ASSERT_TRUE(fit) << fit.error().what;
  EXPECT_TRUE(fit->converged);
  const Vector off = y - x * fit->weights - Vector::Constant(40, fit->intercept);
  EXPECT_NEAR(off.sum(), 0, 1e-9);
  for (Eigen::Index j = 0; j < 8; ++j) {
    const double slope = x.col(j).dot(off) / 40;
    if (fit->weights[j] != 0) {
      EXPECT_NEAR(slope, std::copysign(alpha, fit->weights[j]), 1e-6) << j;
    } else {
      EXPECT_LE(std::abs(slope), alpha + 1e-9) << j;
    }
  }
}

TEST(Lasso, WherePositiveIsAskedForNothingIsBelowZeroAndTheRestIsTheMinimum) {
  const Matrix x = scattered(40, 8);
  const Vector y = 3 * x.col(1) - 2 * x.col(4);
  LassoOptions options;
  options.tolerance = 1e-14, options.max_iterations = 100000, options.positive = true;
  const auto fit = fit_lasso(x, y, 0.01, options);
  ASSERT_TRUE(fit);
  const Vector off = y - x * fit->weights - Vector::Constant(40, fit->intercept);
  for (Eigen::Index j = 0; j < 8; ++j) {
    EXPECT_GE(fit->weights[j], 0);
    if (fit->weights[j] == 0) {
      EXPECT_LE(x.col(j).dot(off) / 40, 0.01 + 1e-9) << j;
    }
  }
  EXPECT_GT(fit->weights[1], 1);
}

TEST(Lasso, ThePathBeginsWhereNothingIsLeftAndFallsToItsEnd) {
  const Matrix x = scattered(30, 5);
  const Vector y = x.col(0) + x.col(2);
  LassoOptions options;
  const auto alphas = lasso_alphas(x, y, options);
  ASSERT_EQ(alphas.size(), 100U);
  EXPECT_NEAR(alphas.back() / alphas.front(), 1e-3, 1e-15);
  EXPECT_EQ(fit_lasso(x, y, alphas.front() * (1 + 1e-9), options)->weights.cwiseAbs().maxCoeff(), 0);
  EXPECT_GT(fit_lasso(x, y, alphas[5], options)->weights.cwiseAbs().maxCoeff(), 0);
}

TEST(Lasso, ConstantAndEqualColumnsAndTooFewRowsAreNoTrouble) {
  Matrix x = scattered(30, 4);
  x.col(1).setConstant(7);
  x.col(3) = x.col(0);
  const Vector y = 2 * x.col(0);
  const auto choice = choose_lasso(x, y, {});
  ASSERT_TRUE(choice) << choice.error().what;
  EXPECT_EQ(choice->fit.weights[1], 0);
  EXPECT_NEAR(choice->fit.weights[0] + choice->fit.weights[3], 2, 0.05);
  EXPECT_FALSE(choose_lasso(x.topRows(9), y.head(9), {}));  // of ten folds
  EXPECT_FALSE(fit_lasso(x, y.head(3), 1, {}));
  x(0, 0) = std::nan("");
  EXPECT_FALSE(fit_lasso(x, y, 1, {}));
}

TEST(Columns, PolynomialsStandInTheOrderOfScikitLearn) {
  Matrix x(1, 3);
  x << 2, 3, 5;
  Matrix expected(1, 20);
  expected << 1, 2, 3, 5, 4, 6, 10, 9, 15, 25, 8, 12, 20, 18, 30, 50, 27, 45, 75, 125;
  EXPECT_EQ(polynomial(x, 3), expected);
  EXPECT_EQ(polynomial_columns(13, 3), 560);
  EXPECT_EQ(polynomial_columns(11, 3), 364);
}

TEST(Columns, ScalersLeaveAConstantAlone) {
  Matrix x(4, 2);
  x << 1, 9, 2, 9, 3, 9, 10, 9;
  const Scaler standard = learn_scaler(x, Scaling::standard), robust = learn_scaler(x, Scaling::robust);
  EXPECT_DOUBLE_EQ(standard.centre[0], 4);
  EXPECT_DOUBLE_EQ(standard.scale[0], std::sqrt(12.5));
  EXPECT_DOUBLE_EQ(robust.centre[0], 2.5);
  EXPECT_DOUBLE_EQ(robust.scale[0], 4.75 - 1.75);
  EXPECT_DOUBLE_EQ(standard.scale[1], 1);
  EXPECT_DOUBLE_EQ(robust.scale[1], 1);
  EXPECT_EQ(standard.apply(x).col(1).cwiseAbs().maxCoeff(), 0);
}

}  // namespace
}  // namespace prony::predict
