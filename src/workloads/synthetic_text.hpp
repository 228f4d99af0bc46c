// Synthetic texts of a wanted length in tokens. Real tokenisers differ, so the text is made of words, and how many
// tokens a word is, and how many stand around every prompt (a begin token, a chat's template), is learned from the
// engine's own counts. The words are short and common: one token each in most vocabularies. The same seed gives the
// same text on every machine. Pure; any thread. Errors: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace prony {

struct SyntheticText {
  std::size_t tokens = 0;  // of the whole text, with its blocks
  std::uint64_t seed = 1;  // of what stands after the blocks
  // Text that others may begin with too: each block is a function of its number alone, `block_tokens` long; the last
  // is cut where the text ends. 512 is the block of Mooncake's traces.
  std::vector<std::uint64_t> blocks = {};
  std::size_t block_tokens = 512;
};

// tokens(words) = around + per_word · words.
struct TokensPerWord {
  double per_word = 1;
  double around = 0;
};

// From two counts of an engine: {words, tokens}. Absent where they make no sense (no more tokens for more words).
[[nodiscard]] std::optional<TokensPerWord> tokens_per_word(std::pair<std::size_t, std::int64_t> few,
                                                           std::pair<std::size_t, std::int64_t> many);

// A text to learn them from, with each word of the list so many times; and how many words that are.
[[nodiscard]] std::pair<std::string, std::size_t> calibration_text(std::size_t times);

// At least one word.
[[nodiscard]] std::string synthetic_text(const SyntheticText& text, const TokensPerWord& ratio);
// One token a word, nothing around it; blocks of 512.
[[nodiscard]] std::string synthetic_text(std::size_t tokens, std::uint64_t seed,
                                         std::span<const std::uint64_t> prefix_blocks);

}  // namespace prony
