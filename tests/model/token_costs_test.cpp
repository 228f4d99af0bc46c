// The arithmetic of what tokens cost, held against sums that are made one token and one step at a time.
#include "model/token_costs.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace prony {
namespace {

TokenCosts costs() { return {100, 30, 500, 800, 0.25, 60, 2, {{0, 8, 16, 16}, {32, 4, 12, 6}}}; }

// Kills: cached tokens that are not read, a last step taken for a whole one, a window that grows with the prompt.
TEST(TokenCosts, APromptInStepsReadsAtEachStepWhatIsThereAtItsEnd) {
  for (const double batch : {1.0, 7.0, 16.0, 512.0})
    for (const double cached : {0.0, 5.0, 100.0})
      for (const double tokens : {1.0, 16.0, 50.0, 333.0}) {
        double read = 0;
        for (double done = 0; done < tokens; done += batch) {
          const double context = cached + std::min(done + batch, tokens);
          read += 16 * context + 12 * std::min(context, 32 + batch);
        }
        EXPECT_NEAR(costs().prefill(tokens, cached, batch).kv_read_bytes, read, 1e-6 * read)
            << batch << " " << cached << " " << tokens;
      }
}

// Kills: logits of every token of a prompt, which no engine makes unless it is asked to.
TEST(TokenCosts, LogitsAreMadeOfAPromptsLastTokenAndOfEachFurtherOne) {
  EXPECT_EQ(costs().prefill(10, 0, 512).linear_flop, 10 * 100 + 30);
  EXPECT_EQ(costs().prefill(10, 90, 4).linear_flop, 10 * 100 + 30);
  EXPECT_EQ(costs().generation(10, 7, 3).linear_flop, 7 * 3 * (100 + 30));
}

TEST(TokenCosts, ATokenSeesItselfAndThoseBeforeItThatItsWindowHolds) {
  double flop = 0;
  for (int i = 1; i <= 100; ++i) flop += 8.0 * i + 4.0 * std::min(i, 32);
  EXPECT_EQ(costs().prefill(100, 0, 512).attention_flop, flop);
  EXPECT_EQ(costs().generation(0, 100, 1).attention_flop, flop);
  EXPECT_EQ(costs().decode(100, 2).attention_flop, 2 * (800 + 128));
}

// A prompt of 10 million tokens one by one: in no more time than any other.
TEST(TokenCosts, VeryLongPromptsTakeNoLonger) {
  const TokenWork work = costs().prefill(1e7, 0, 1);
  EXPECT_NEAR(work.kv_read_bytes / (16 * 5e13 + 12 * 33e7), 1, 1e-6);
}

TEST(TokenCosts, ComeBackFromARunsFactsAsTheyWere) {
  Manifest manifest;
  manifest.facts = facts_of(costs());
  const auto back = token_costs_of(manifest);
  ASSERT_TRUE(back);
  for (const double tokens : {1.0, 77.0}) {
    EXPECT_EQ(back->prefill(tokens, 3, 8).flop(), costs().prefill(tokens, 3, 8).flop());
    EXPECT_EQ(back->prefill(tokens, 3, 8).bytes(), costs().prefill(tokens, 3, 8).bytes());
    EXPECT_EQ(back->generation(tokens, 9, 4).bytes(), costs().generation(tokens, 9, 4).bytes());
  }
  TokenCosts recurrent = costs();
  recurrent.sights.clear();
  manifest.facts = facts_of(recurrent);
  ASSERT_TRUE(token_costs_of(manifest));
  EXPECT_TRUE(token_costs_of(manifest)->sights.empty());
}

// Kills: a part that is missing or damaged taken for nought.
TEST(TokenCosts, FactsThatMakeNoSenseGiveNone) {
  EXPECT_FALSE(token_costs_of({}));
  for (const Fact& damaged : facts_of(costs()))
    for (const char* value : {"", "-1", "nan", "1e99", "x", "1 2 3", "1 2 3 4;"}) {
      if (damaged.key == "model.cost.attention" && *value == '\0') continue;  // a model without attention
      Manifest manifest;
      manifest.facts = facts_of(costs());
      manifest.set(damaged.key, value, "file");
      EXPECT_FALSE(token_costs_of(manifest)) << damaged.key << " " << value;
    }
}

}  // namespace
}  // namespace prony
