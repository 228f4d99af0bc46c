#include "quality/perplexity.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace prony::quality {
namespace {

TEST(Perplexity, OfAUniformModelIsItsVocabularyAndHasNoError) {
  const double one = std::log(512.0);
  const auto made = perplexity_of({{100, 100 * one, 100 * one * one}, {28, 28 * one, 28 * one * one}});
  ASSERT_TRUE(made.has_value());
  EXPECT_NEAR(made->value, 512, 1e-9);
  EXPECT_EQ(made->tokens, 128);
  EXPECT_NEAR(made->error.value_or(1), 0, 1e-4);
  EXPECT_FALSE(made->error_by_window.has_value());
}

TEST(Perplexity, ItsErrorIsThatOfTheMeanOfItsTokens) {
  // −ln p of 1, 2, 3, 4: mean 2.5, variance of the sample 5/3, error of the mean √(5/12).
  const auto made = perplexity_of({{4, 10, 30}});
  ASSERT_TRUE(made.has_value());
  EXPECT_NEAR(made->value, std::exp(2.5), 1e-12);
  EXPECT_NEAR(made->error.value_or(0), std::exp(2.5) * std::sqrt(5.0 / 12), 1e-9);
}

TEST(Perplexity, WindowsThatDifferAsWholesWidenTheErrorThatTakesThemAsIndependent) {
  std::vector<WindowSum> windows;
  for (int i = 0; i < 8; ++i) {
    const double each = i % 2 == 0 ? 1 : 3;  // all tokens of a window alike
    windows.push_back({100, 100 * each, 100 * each * each});
  }
  const auto made = perplexity_of(windows);
  ASSERT_TRUE(made.has_value());
  EXPECT_NEAR(made->mean_nll, 2, 1e-12);
  EXPECT_NEAR(made->error.value_or(0), std::exp(2.0) * std::sqrt(1.0 / 799), 1e-9);
  // Eight means of 1 or 3: deviation √(8/7), over √8.
  EXPECT_NEAR(made->error_by_window.value_or(0), std::exp(2.0) * std::sqrt(1.0 / 7), 1e-9);
}

TEST(Perplexity, NothingScoredOrSumsThatAreNoneAreErrors) {
  EXPECT_FALSE(perplexity_of({}).has_value());
  EXPECT_FALSE(perplexity_of({{0, 0, 0}}).has_value());
  EXPECT_FALSE(perplexity_of({{4, std::nan(""), 1}}).has_value());
  EXPECT_FALSE(perplexity_of({{-4, 1, 1}}).has_value());
}

}  // namespace
}  // namespace prony::quality
