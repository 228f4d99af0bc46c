#include "workloads/synthetic_prompts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/text.hpp"

namespace prony {
namespace {

std::size_t words(const std::string& text) { return split(text, ' ').size(); }

// A tokeniser that cuts long words: what a calibration has to learn.
std::int64_t tokens_of(const std::string& text, std::int64_t around) {
  std::int64_t tokens = around;
  for (const auto word : split(text, ' ')) tokens += 1 + static_cast<std::int64_t>(word.size()) / 4;
  return tokens;
}

std::pair<double, double> mean_and_deviation(const LengthDistribution& distribution, int count) {
  Draw draw(7);
  double sum = 0, squares = 0;
  for (int i = 0; i < count; ++i) {
    const auto length = static_cast<double>(drawn_length(distribution, draw));
    sum += length;
    squares += length * length;
  }
  const double mean = sum / count;
  return {mean, std::sqrt(squares / count - mean * mean)};
}

// Kills: mean and deviation of the logarithm taken for those of the length.
TEST(SyntheticPrompts, DrawnLengthsHaveTheMeanAndDeviationThatWereAskedFor) {
  for (const char* text : {"normal(550,150)", "lognormal(550,150)", "lognormal(200,100)"}) {
    const auto distribution = length_distribution_from(text);
    ASSERT_TRUE(distribution) << text;
    const auto [mean, deviation] = mean_and_deviation(*distribution, 40000);
    EXPECT_NEAR(mean, distribution->mean, 0.02 * distribution->mean) << text;
    EXPECT_NEAR(deviation, distribution->deviation, 0.05 * distribution->deviation) << text;
  }
  const auto [mean, deviation] = mean_and_deviation(*length_distribution_from("uniform(10,20)"), 40000);
  EXPECT_NEAR(mean, 15, 0.1);
  EXPECT_NEAR(deviation, std::sqrt(10.0), 0.1);
  const auto clamped = length_distribution_from("normal(100,80,90,110)");
  ASSERT_TRUE(clamped);
  Draw draw(1);
  for (int i = 0; i < 1000; ++i) {
    const auto length = drawn_length(*clamped, draw);
    EXPECT_GE(length, 90);
    EXPECT_LE(length, 110);
  }
}

TEST(SyntheticPrompts, PairsComeTogetherAndAsOftenAsTheirWeights) {
  const auto spec = synthetic_spec_from("4000 pairs:128:64@3,512:256@1");
  ASSERT_TRUE(spec);
  std::map<std::int64_t, int> seen;
  for (const Prompt& prompt : synthetic_prompts(*spec, {}, 5).prompts) {
    EXPECT_EQ(*prompt.asked_tokens, prompt.max_tokens == 64 ? 128 : 512);
    ++seen[*prompt.asked_tokens];
  }
  EXPECT_NEAR(seen[128], 3000, 120);
  EXPECT_EQ(seen[128] + seen[512], 4000);
}

TEST(SyntheticPrompts, WordsThatMakeNoSenseAreRefused) {
  for (const char* text : {"", "100", "in:0", "in:-5", "in:normal(5)", "in:normal(a,b)", "in:uniform(9,3)", "0 in:5",
                           "5 6 in:7", "pairs:5", "pairs:5:0", "pairs:5:6@0", "pairs:5:6 in:7", "pairs:1:2 out:3",
                           "in:gamma(1,2)", "in:normal(100,5,200,100)", "in:nan", "in:9999999999", "words"})
    EXPECT_FALSE(synthetic_spec_from(text)) << text;
  for (const char* text : {"", "x", "0", "5:0", "5:x", "-1"}) EXPECT_FALSE(shared_prefix_from(text)) << text;
}

TEST(SyntheticPrompts, OneSeedIsOneSetAndAnotherSharesNoText) {
  const auto spec = synthetic_spec_from("20 in:normal(50,10) out:uniform(5,9)");
  ASSERT_TRUE(spec);
  const auto a = synthetic_prompts(*spec, {}, 1), again = synthetic_prompts(*spec, {}, 1),
             other = synthetic_prompts(*spec, {}, 2);
  std::set<std::string> texts;
  for (std::size_t i = 0; i < a.prompts.size(); ++i) {
    EXPECT_EQ(a.prompts[i].asked_tokens, again.prompts[i].asked_tokens);
    const auto text = synthetic_text(*a.prompts[i].synthetic, {});
    EXPECT_EQ(text, synthetic_text(*again.prompts[i].synthetic, {}));
    EXPECT_TRUE(texts.insert(text).second);
    EXPECT_TRUE(texts.insert(synthetic_text(*other.prompts[i].synthetic, {})).second);
  }
}

// Kills: the calibration's constant part (begin token, chat template) counted once per word, or not at all.
TEST(SyntheticText, AfterACalibrationTheRealisedLengthIsWithinAFewPerCent) {
  const auto one = calibration_text(1), two = calibration_text(2);
  const auto ratio = tokens_per_word({one.second, tokens_of(one.first, 9)}, {two.second, tokens_of(two.first, 9)});
  ASSERT_TRUE(ratio);
  EXPECT_NEAR(ratio->around, 9, 1e-9);
  EXPECT_GT(ratio->per_word, 1.2);
  for (const std::size_t wanted : {64U, 128U, 550U, 4000U})
    for (std::uint64_t seed = 1; seed < 30; ++seed) {
      const auto got = tokens_of(synthetic_text(SyntheticText{wanted, seed}, *ratio), 9);
      EXPECT_NEAR(static_cast<double>(got), static_cast<double>(wanted),
                  std::max(4.0, 0.05 * static_cast<double>(wanted)))
          << wanted << " seed " << seed;
    }
}

TEST(SyntheticText, CountsThatMakeNoSenseTeachNothing) {
  EXPECT_FALSE(tokens_per_word({128, 100}, {256, 100}));
  EXPECT_FALSE(tokens_per_word({128, 0}, {256, 100}));
  EXPECT_FALSE(tokens_per_word({128, 100}, {128, 200}));
  EXPECT_FALSE(tokens_per_word({128, 1}, {256, 900'000}));
}

// Kills: a prefix that is cut at another word in each prompt, so that no cache can hold it.
TEST(SyntheticText, EqualBlocksAreEqualTextWhateverFollows) {
  const std::vector<std::uint64_t> blocks{11, 22};
  const auto a = synthetic_text(1500, 1, blocks), b = synthetic_text(1300, 2, blocks);
  EXPECT_EQ(words(a), 1500U);
  EXPECT_EQ(words(b), 1300U);
  std::size_t same = 0, common = 0;
  while (same < std::min(a.size(), b.size()) && a[same] == b[same]) common += a[same++] == ' ';
  EXPECT_GE(common, 1023U);
  EXPECT_LE(common, 1040U);
  // Cut in the middle of a block where the text ends there.
  const auto cut = synthetic_text(700, 3, blocks);
  EXPECT_EQ(words(cut), 700U);
  EXPECT_EQ(a.substr(0, cut.size()), cut);
  EXPECT_EQ(words(synthetic_text(0, 1, {})), 1U) << "never empty";
}

TEST(SyntheticPrompts, SharedPrefixesComeOnTopAndInTurn) {
  const auto spec = synthetic_spec_from("6 in:32");
  const auto prefix = shared_prefix_from("64:2");
  ASSERT_TRUE(spec);
  ASSERT_TRUE(prefix);
  const auto set = synthetic_prompts(*spec, *prefix, 1);
  std::vector<std::string> heads;
  for (const Prompt& prompt : set.prompts) {
    EXPECT_EQ(*prompt.asked_tokens, 96);
    const auto text = synthetic_text(*prompt.synthetic, {});
    EXPECT_EQ(words(text), 96U);
    heads.push_back(text.substr(0, 120));
  }
  EXPECT_EQ(heads[0], heads[2]);
  EXPECT_EQ(heads[1], heads[5]);
  EXPECT_NE(heads[0], heads[1]);
  EXPECT_EQ(set.prompts[0].group, "prefix 1");
  EXPECT_EQ(set.prompts[1].group, "prefix 2");
}

}  // namespace
}  // namespace prony
