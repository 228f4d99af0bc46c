// Texts cut as the instructions of IFEval speak of them: letters with their case, words, sentences, lines, paragraphs.
// Input is UTF-8; bytes that are none count as one letterless character each. Case is known of Latin, Greek and
// Cyrillic letters. Thread promise: pure. Errors: none.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace prony::quality {

[[nodiscard]] std::u32string code_points(std::string_view text);
[[nodiscard]] std::string to_utf8(std::u32string_view text);
[[nodiscard]] char32_t lower(char32_t c) noexcept;
[[nodiscard]] bool is_upper(char32_t c) noexcept;
[[nodiscard]] bool is_lower(char32_t c) noexcept;
[[nodiscard]] bool is_word(char32_t c) noexcept;   // a letter, a digit or _, of any script
[[nodiscard]] bool is_blank(char32_t c) noexcept;  // white space, line ends too

[[nodiscard]] std::string lower_case(std::string_view text);
[[nodiscard]] std::string_view stripped(std::string_view text) noexcept;  // of white space at both ends
// Every cased letter is of that case, and there is one.
[[nodiscard]] bool all_upper(std::string_view text);
[[nodiscard]] bool all_lower(std::string_view text);

// `text` cut at each `mark`; one piece more than there are marks.
[[nodiscard]] std::vector<std::string_view> cut(std::string_view text, std::string_view mark);
[[nodiscard]] std::vector<std::string_view> lines(std::string_view text);
[[nodiscard]] std::size_t count_words(std::string_view text);  // runs of word characters
// Runs of letters, digits, apostrophes and hyphens that have a cased letter and no small one.
[[nodiscard]] std::size_t count_capital_words(std::string_view text);
// Pieces that end with . ! or ? (and closing quotes or brackets) before white space or the end; the rest behind the
// last is one too. Titles (Dr.), single initials, "e.g." and ordinal numbers of lists end none.
[[nodiscard]] std::size_t count_sentences(std::string_view text);
// How often `word` stands in `text`, without regard to case, one after the other; `whole`: with no word character
// beside.
[[nodiscard]] std::size_t count_of(std::string_view text, std::string_view word, bool whole);

}  // namespace prony::quality
