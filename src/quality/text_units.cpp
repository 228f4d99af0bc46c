#include "quality/text_units.hpp"

#include <algorithm>
#include <array>

namespace prony::quality {

namespace {

// The code point at `at`, which is moved behind it.
char32_t next_code_point(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at++);
  if (first < 0x80) return first;
  const int more = first >= 0xF0 && first < 0xF5 ? 3 : first >= 0xE0 ? 2 : first >= 0xC2 ? 1 : 0;
  if (more == 0 || first >= 0xF5 || at + static_cast<std::size_t>(more) > text.size()) return 0xFFFD;
  char32_t value = first & (0x3FU >> static_cast<unsigned>(more));
  for (int i = 0; i < more; ++i) {
    const unsigned char next = byte(at + static_cast<std::size_t>(i));
    if ((next & 0xC0U) != 0x80U) return 0xFFFD;
    value = (value << 6U) | (next & 0x3FU);
  }
  at += static_cast<std::size_t>(more);
  return value;
}

constexpr std::array<std::string_view, 14> abbreviations{"mr", "mrs", "ms",  "dr",  "prof", "st",  "vs",
                                                         "jr", "sr",  "inc", "ltd", "e.g",  "i.e", "no"};

bool is_digit(char32_t c) noexcept { return c >= U'0' && c <= U'9'; }

bool ends_sentence(const std::u32string& text, std::size_t dot) {
  if (text[dot] != U'.') return true;
  std::size_t begin = dot;
  while (begin > 0 && !is_blank(text[begin - 1])) --begin;
  std::string word;
  for (std::size_t i = begin; i < dot; ++i)
    if (text[i] != U'(' && text[i] != U'"') word += to_utf8(std::u32string(1, lower(text[i])));
  const bool initial = dot == begin + 1 && is_word(text[begin]) && word != "i" && !is_digit(text[begin]);
  const bool number = !word.empty() && std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
  std::size_t before = begin;
  while (before > 0 && (text[before - 1] == U' ' || text[before - 1] == U'\t')) --before;
  const bool list = number && (before == 0 || text[before - 1] == U'\n');
  return !initial && !list && std::ranges::find(abbreviations, word) == abbreviations.end();
}

bool closes(char32_t c) noexcept {
  return c == U'"' || c == U'\'' || c == U')' || c == U']' || c == U'*' || c == 0x201D || c == 0x2019;
}
bool stops(char32_t c) noexcept {
  return c == U'.' || c == U'!' || c == U'?' || c == 0x3002 || c == 0xFF01 || c == 0xFF1F || c == 0x0964;
}
// Signs that stand for a whole end without white space behind them.
bool stops_alone(char32_t c) noexcept { return c == 0x3002 || c == 0xFF01 || c == 0xFF1F; }

}  // namespace

std::u32string code_points(std::string_view text) {
  std::u32string all;
  for (std::size_t at = 0; at < text.size();) all.push_back(next_code_point(text, at));
  return all;
}

std::string to_utf8(std::u32string_view text) {
  std::string out;
  const auto put = [&](char32_t value) { out.push_back(static_cast<char>(static_cast<unsigned char>(value))); };
  for (const char32_t c : text) {
    if (c < 0x80) {
      put(c);
    } else if (c < 0x800) {
      put(0xC0U | (c >> 6U));
      put(0x80U | (c & 0x3FU));
    } else if (c < 0x10000) {
      put(0xE0U | (c >> 12U));
      put(0x80U | ((c >> 6U) & 0x3FU));
      put(0x80U | (c & 0x3FU));
    } else {
      put(0xF0U | (c >> 18U));
      put(0x80U | ((c >> 12U) & 0x3FU));
      put(0x80U | ((c >> 6U) & 0x3FU));
      put(0x80U | (c & 0x3FU));
    }
  }
  return out;
}

char32_t lower(char32_t c) noexcept {
  if ((c >= U'A' && c <= U'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7)) return c + 0x20;  // Latin
  if (c >= 0x100 && c <= 0x137) return c | 1U;
  if (c >= 0x139 && c <= 0x148) return (c % 2 == 1) ? c + 1 : c;
  if (c >= 0x14A && c <= 0x177) return c | 1U;
  if (c == 0x178) return 0xFF;
  if (c >= 0x179 && c <= 0x17E) return (c % 2 == 1) ? c + 1 : c;
  if (c >= 0x391 && c <= 0x3AB && c != 0x3A2) return c + 0x20;  // Greek
  if (c >= 0x410 && c <= 0x42F) return c + 0x20;                // Cyrillic
  if (c >= 0x400 && c <= 0x40F) return c + 0x50;
  if (c >= 0x460 && c <= 0x481) return c | 1U;
  if (c >= 0x48A && c <= 0x4BF) return c | 1U;
  if (c >= 0x1EA0 && c <= 0x1EFF) return c | 1U;  // Vietnamese
  return c;
}
bool is_upper(char32_t c) noexcept { return lower(c) != c; }
bool is_lower(char32_t c) noexcept {
  if ((c >= U'a' && c <= U'z') || (c >= 0xDF && c <= 0xFF && c != 0xF7)) return true;
  if ((c >= 0x100 && c <= 0x17E) || (c >= 0x460 && c <= 0x481) || (c >= 0x48A && c <= 0x4BF) ||
      (c >= 0x1EA0 && c <= 0x1EFF))
    return !is_upper(c);
  return (c >= 0x3B1 && c <= 0x3CB) || (c >= 0x430 && c <= 0x45F);
}
bool is_word(char32_t c) noexcept {
  if (c < 0x80) return (c >= U'0' && c <= U'9') || (c >= U'A' && c <= U'Z') || (c >= U'a' && c <= U'z') || c == U'_';
  if (c < 0xC0) return c == 0xAA || c == 0xB5 || c == 0xBA;
  if (c == 0xD7 || c == 0xF7 || c == 0xFFFD || c == 0x0964 || c == 0x0965) return false;
  if (c == 0x60C || c == 0x61B || c == 0x61F || c == 0x6D4) return false;  // Arabic points
  return !((c >= 0x2000 && c <= 0x2BFF) || (c >= 0x3000 && c <= 0x303F) || (c >= 0xFE10 && c <= 0xFE6F) ||
           (c >= 0xFF00 && c <= 0xFF0F) || (c >= 0xFF1A && c <= 0xFF20) || c >= 0x1F000);
}
bool is_blank(char32_t c) noexcept {
  return c == U' ' || (c >= 0x09 && c <= 0x0D) || c == 0x85 || c == 0xA0 || c == 0x3000 || (c >= 0x2000 && c <= 0x200A);
}

std::string lower_case(std::string_view text) {
  std::u32string all = code_points(text);
  for (char32_t& c : all) c = lower(c);
  return to_utf8(all);
}

std::string_view stripped(std::string_view text) noexcept {
  constexpr std::string_view blanks = " \t\n\r\f\v";
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

bool all_upper(std::string_view text) {
  const std::u32string all = code_points(text);
  return std::ranges::any_of(all, is_upper) && std::ranges::none_of(all, is_lower);
}
bool all_lower(std::string_view text) {
  const std::u32string all = code_points(text);
  return std::ranges::any_of(all, is_lower) && std::ranges::none_of(all, is_upper);
}

std::vector<std::string_view> cut(std::string_view text, std::string_view mark) {
  std::vector<std::string_view> pieces;
  for (;;) {
    const std::size_t at = mark.empty() ? std::string_view::npos : text.find(mark);
    pieces.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return pieces;
    text.remove_prefix(at + mark.size());
  }
}
std::vector<std::string_view> lines(std::string_view text) { return cut(text, "\n"); }

std::size_t count_words(std::string_view text) {
  std::size_t count = 0;
  bool within = false;
  for (const char32_t c : code_points(text)) {
    const bool word = is_word(c);
    count += word && !within ? 1 : 0;
    within = word;
  }
  return count;
}

std::size_t count_capital_words(std::string_view text) {
  std::size_t count = 0;
  bool upper = false, small = false;
  const auto close = [&] {
    count += upper && !small ? 1 : 0;
    upper = small = false;
  };
  for (const char32_t c : code_points(text)) {
    if (!is_word(c) && c != U'\'' && c != U'-' && c != 0x2019) {
      close();
      continue;
    }
    upper = upper || is_upper(c);
    small = small || is_lower(c);
  }
  close();
  return count;
}

std::size_t count_sentences(std::string_view text) {
  const std::u32string all = code_points(text);
  std::size_t count = 0;
  bool anything = false;  // of a sentence since the last end
  for (std::size_t i = 0; i < all.size(); ++i) {
    anything = anything || is_word(all[i]);
    if (!stops(all[i]) || !anything) continue;
    std::size_t end = i + 1;
    while (end < all.size() && (stops(all[end]) || closes(all[end]))) ++end;
    const bool open = end < all.size() && !is_blank(all[end]) && !stops_alone(all[i]);
    if (!open && (end > i + 1 || ends_sentence(all, i))) {
      ++count;
      anything = false;
    }
    i = end - 1;
  }
  return count + (anything ? 1 : 0);
}

std::size_t count_of(std::string_view text, std::string_view word, bool whole) {
  std::u32string all = code_points(text), wanted = code_points(word);
  for (char32_t& c : all) c = lower(c);
  for (char32_t& c : wanted) c = lower(c);
  if (wanted.empty()) return 0;
  std::size_t count = 0;
  // A border is where word and other characters meet: of a phrase that ends with a sign there is none to ask for.
  const auto border = [&](std::size_t at) {
    const bool before = at > 0 && is_word(all[at - 1]), after = at < all.size() && is_word(all[at]);
    return before != after;
  };
  for (std::size_t at = all.find(wanted); at != std::u32string::npos;) {
    const std::size_t end = at + wanted.size();
    const bool counts = !whole || (border(at) && border(end));
    count += counts ? 1 : 0;
    at = all.find(wanted, counts ? end : at + 1);
  }
  return count;
}

}  // namespace prony::quality
