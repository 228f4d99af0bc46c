#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/text.hpp"
#include "reports/passport_text.hpp"

namespace prony {
namespace {

// What a probe says of a change is as long as the channel's name and both figures: 95 columns and more.
TEST(LabelledLine, ALongNoteKeepsToTheWidthAndLosesNoWord) {
  const std::string note =
      "changed: rapl.package-0.energy: update period was 10.8 ms ± 1.78 ms, is now 4.00 ms ± 1.50 µs, and its step too";
  const std::string text = labelled_line("note", note, 60);
  std::vector<std::string> words;
  std::size_t lines = 0;
  for (const auto line : split(text, '\n')) {
    if (line.empty()) continue;
    ++lines;
    EXPECT_LE(display_width(line), 60U) << line;
    for (const auto word : split(line, ' '))
      if (!word.empty()) words.emplace_back(word);
  }
  EXPECT_GE(lines, 3U);
  std::vector<std::string> expected{"note"};
  for (const auto word : split(note, ' ')) expected.emplace_back(word);
  EXPECT_EQ(words, expected);
  EXPECT_TRUE(text.ends_with("\n"));
}

TEST(LabelledLine, AShortNoteIsOneLine) { EXPECT_EQ(labelled_line("note", "a b", 60), " note           a b\n"); }

}  // namespace
}  // namespace prony
