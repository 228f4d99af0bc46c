#include "workloads/synthetic_text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

namespace prony {

namespace {

// Common English words of at most six letters.
constexpr std::array<std::string_view, 128> common_words{
    "the",  "of",   "and",   "to",    "in",    "is",    "you",   "that",  "it",     "he",    "was",   "for",   "on",
    "are",  "as",   "with",  "his",   "they",  "at",    "be",    "this",  "have",   "from",  "or",    "one",   "had",
    "by",   "word", "but",   "not",   "what",  "all",   "were",  "we",    "when",   "your",  "can",   "said",  "there",
    "use",  "an",   "each",  "which", "she",   "do",    "how",   "their", "if",     "will",  "up",    "other", "about",
    "out",  "many", "then",  "them",  "these", "so",    "some",  "her",   "would",  "make",  "like",  "him",   "into",
    "time", "has",  "look",  "two",   "more",  "write", "go",    "see",   "number", "no",    "way",   "could", "people",
    "my",   "than", "first", "water", "been",  "call",  "who",   "oil",   "its",    "now",   "find",  "long",  "down",
    "day",  "did",  "get",   "come",  "made",  "may",   "part",  "over",  "new",    "sound", "take",  "only",  "little",
    "work", "know", "place", "year",  "live",  "me",    "back",  "give",  "most",   "very",  "after", "thing", "our",
    "just", "name", "good",  "man",   "think", "say",   "great", "where", "help",   "much",  "before"};

// SplitMix64 (Steele, Lea, Flood 2014): a counter, well mixed.
std::uint64_t mixed(std::uint64_t seed, std::uint64_t number) {
  std::uint64_t x = seed + (number + 1) * 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

constexpr std::size_t strata = 16, stratum_size = common_words.size() / strata;

// The words by length: what a tokeniser cuts, it cuts by length.
std::array<std::uint8_t, common_words.size()> by_length() {
  std::array<std::uint8_t, common_words.size()> order{};
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::uint8_t>(i);
  std::sort(order.begin(), order.end(), [](std::uint8_t a, std::uint8_t b) {
    return std::pair(common_words[a].size(), a) < std::pair(common_words[b].size(), b);
  });
  return order;
}

// The list again and again, each time in another order, and in rows with one word of each length class: wherever it is
// cut, short and long words came about as often as in the calibration, which counts each word alike.
void append_words(std::string& text, std::size_t count, std::uint64_t seed) {
  std::array<std::uint8_t, common_words.size()> classes = by_length(), order{};
  const auto shuffle = [&](std::uint8_t* begin, std::size_t size, std::uint64_t number) {
    for (std::size_t left = size; left > 1; --left)
      std::swap(begin[left - 1], begin[mixed(seed, number + left) % left]);
  };
  for (std::size_t made = 0; made < count; ++made) {
    const std::size_t place = made % common_words.size();
    if (place == 0) {
      const std::uint64_t number = made * 64;
      for (std::size_t k = 0; k < strata; ++k)
        shuffle(&classes[k * stratum_size], stratum_size, number + k * stratum_size);
      for (std::size_t row = 0; row < stratum_size; ++row) {
        for (std::size_t k = 0; k < strata; ++k) order[row * strata + k] = classes[k * stratum_size + row];
        shuffle(&order[row * strata], strata, number + common_words.size() + row * strata);
      }
    }
    if (!text.empty()) text.push_back(' ');
    text += common_words[order[place]];
  }
}

}  // namespace

std::optional<TokensPerWord> tokens_per_word(std::pair<std::size_t, std::int64_t> few,
                                             std::pair<std::size_t, std::int64_t> many) {
  if (many.first <= few.first || many.second <= few.second || few.second <= 0) return std::nullopt;
  TokensPerWord ratio;
  ratio.per_word = static_cast<double>(many.second - few.second) / static_cast<double>(many.first - few.first);
  ratio.around = static_cast<double>(few.second) - ratio.per_word * static_cast<double>(few.first);
  if (ratio.per_word < 0.05 || ratio.per_word > 50) return std::nullopt;  // that is no count of tokens
  return ratio;
}

std::pair<std::string, std::size_t> calibration_text(std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i)
    for (const std::string_view word : common_words) text += (text.empty() ? "" : " ") + std::string(word);
  return {text, times * common_words.size()};
}

std::string synthetic_text(const SyntheticText& wanted, const TokensPerWord& ratio) {
  const auto words_of = [&](double tokens) {
    return static_cast<std::size_t>(std::llround(std::max(0.0, tokens) / ratio.per_word));
  };
  const std::size_t all = std::max<std::size_t>(1, words_of(static_cast<double>(wanted.tokens) - ratio.around));
  // Every block has as many words as every other of its length, whatever stands around the prompt: or a prefix that is
  // shared would end at another word in each.
  const std::size_t block = std::max<std::size_t>(1, words_of(static_cast<double>(wanted.block_tokens)));
  std::string text;
  std::size_t made = 0;
  for (const std::uint64_t number : wanted.blocks) {
    if (made >= all) break;
    const std::size_t count = std::min(block, all - made);
    append_words(text, count, mixed(number, 0xb10c));
    made += count;
  }
  append_words(text, all - made, mixed(wanted.seed, 0x5eed));
  return text;
}

std::string synthetic_text(std::size_t tokens, std::uint64_t seed, std::span<const std::uint64_t> prefix_blocks) {
  return synthetic_text({tokens, seed, {prefix_blocks.begin(), prefix_blocks.end()}}, {});
}

}  // namespace prony
