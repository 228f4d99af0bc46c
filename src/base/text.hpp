// Scanning and writing text: whole-field number parsing, lines, CSV fields, numbers that every locale writes alike.
// Everything is bounded and allocation-free unless it returns a string. Nothing here knows what a joule is.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace prony {

[[nodiscard]] std::string_view trim(std::string_view text) noexcept;  // ASCII white space at both ends
// The next word of `text`, which loses it: what stands between blanks and ends of lines. "": there is none left.
std::string_view next_word(std::string_view& text) noexcept;

// The whole of `text` (white space at its ends apart) must be the number; overflow, sign on unsigned, trailing letters,
// NaN and infinity are refused.
[[nodiscard]] std::optional<std::uint64_t> parse_u64(std::string_view text) noexcept;
[[nodiscard]] std::optional<std::int64_t> parse_i64(std::string_view text) noexcept;
[[nodiscard]] std::optional<double> parse_finite(std::string_view text) noexcept;

// "10ms", "2s", "1.5h", "500us", "7ns", "3m" → nanoseconds. A bare number is refused: a unit is part of a value.
[[nodiscard]] std::optional<std::int64_t> parse_duration_ns(std::string_view text) noexcept;

// Calls `line` for each line, without its end ("\n" or "\r\n"); a last line without an end counts too.
void for_each_line(std::string_view text, const std::function<void(std::string_view)>& line);

[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);

// Shortest text that reads back as the same double; "." as decimal point whatever the locale. Not finite → "".
[[nodiscard]] std::string format_number(double value);
// Fixed digits after the point, locale-independent.
[[nodiscard]] std::string format_fixed(double value, int digits);
// RFC 4180: quoted where needed.
[[nodiscard]] std::string csv_field(std::string_view text);
// ISO 8601 UTC with milliseconds: 2026-11-20T22:58:01.250Z, from nanoseconds since 1970.
[[nodiscard]] std::string format_utc(std::int64_t wall_ns);
// The same to the second, for names of files: 20261120T225801.
[[nodiscard]] std::string compact_utc(std::int64_t wall_ns);
// Printable UTF-8 of at most `columns` columns; control characters and invalid bytes become U+FFFD.
[[nodiscard]] std::string printable(std::string_view text, std::size_t columns);
// Columns that `text` takes on a terminal (combining marks 0, wide characters 2).
[[nodiscard]] std::size_t display_width(std::string_view text) noexcept;

// The candidates nearest to `word` by edit distance whatever the case of ASCII letters, the nearest first, each once;
// only those near enough to be a slip of the finger: a third of its letters, or `within`. At most `most`.
[[nodiscard]] std::vector<std::string> nearest_names(std::string_view word, const std::vector<std::string>& candidates,
                                                     std::size_t most,
                                                     std::optional<std::size_t> within = std::nullopt);
[[nodiscard]] std::optional<std::string> nearest_name(std::string_view word,
                                                      const std::vector<std::string>& candidates);

// Whole file, at most `limit` bytes; a longer one is an error (code full).
[[nodiscard]] Result<std::string> read_whole_file(const std::string& path, std::size_t limit);

}  // namespace prony
