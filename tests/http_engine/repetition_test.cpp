#include "../../engines/shared/repetition.hpp"

#include <gtest/gtest.h>

#include <string>

namespace prony_engine {
namespace {

// Kills: the period taken for a multiple of itself; two repeats taken for a loop; a loop in the middle taken for its
// end.
TEST(Repetition, TheLongestTailThatRepeatsOnePieceAtLeastThreeTimesIsFoundWithItsShortestPiece) {
  const auto of = [](const std::string& text) { return repeated_tail(text, 6, 64); };
  EXPECT_EQ(of("start abcabcabc").length, 9U);
  EXPECT_EQ(of("start abcabcabc").period, 3U);
  EXPECT_EQ(of("start abcabcabcab").length, 11U) << "a piece may be cut at the end";
  EXPECT_EQ(of("xxxxxxxx").period, 1U);
  EXPECT_EQ(of("xxxxxxxx").length, 8U);
  EXPECT_EQ(of("start abcdabcd").length, 0U) << "twice is no loop";
  EXPECT_EQ(of("abcabcabcabc end").length, 0U);
  EXPECT_EQ(of("yyy").length, 0U) << "too short to say";
  EXPECT_EQ(of("").length, 0U);
  EXPECT_EQ(of("a").length, 0U);
  EXPECT_EQ(repeated_tail(std::string(300, 'a') + "b", 6, 64).length, 0U);
}

}  // namespace
}  // namespace prony_engine
