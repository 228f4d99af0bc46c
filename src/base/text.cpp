#include "base/text.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/fd.hpp"

namespace prony {

namespace {

constexpr bool is_space(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

template <class T>
std::optional<T> parse_whole(std::string_view text) noexcept {
  text = trim(text);
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || text.empty()) return std::nullopt;
  return value;
}

// One UTF-8 sequence at `text[at]`: its length and code point; length 0 where the bytes are not UTF-8.
struct Utf8 {
  std::size_t length = 0;
  char32_t code = 0;
};

Utf8 decode_utf8(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return {1, first};
  std::size_t length = 0;
  char32_t code = 0;
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2;
    code = first & 0x1Fu;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3;
    code = first & 0x0Fu;
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4;
    code = first & 0x07u;
  } else {
    return {};
  }
  if (at + length > text.size()) return {};
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0u) != 0x80u) return {};
    code = (code << 6) | (byte(at + i) & 0x3Fu);
  }
  constexpr std::array<char32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < smallest[length] || code > 0x10FFFF || surrogate) return {};
  return {length, code};
}

// Blocks of East Asian wide and emoji characters, and of combining marks: coarse, enough to align a table.
constexpr std::size_t columns_of(char32_t c) noexcept {
  if ((c >= 0x300 && c <= 0x36F) || (c >= 0x200B && c <= 0x200F) || (c >= 0xFE00 && c <= 0xFE0F) || c == 0xFEFF)
    return 0;
  const bool wide = (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xAC00 && c <= 0xD7A3) ||
                    (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
                    (c >= 0xFFE0 && c <= 0xFFE6) || (c >= 0x1F300 && c <= 0x1F64F) || (c >= 0x1F900 && c <= 0x1F9FF) ||
                    (c >= 0x20000 && c <= 0x3FFFD);
  return wide ? 2 : 1;
}

constexpr bool is_control(char32_t c) noexcept { return c < 0x20 || (c >= 0x7F && c < 0xA0); }

// Optimal string alignment: a letter too many, too few or wrong counts one, and so do two letters swapped.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), row(b.size() + 1), next(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    next[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      next[j] = std::min({row[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1), row[j] + 1, next[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) next[j] = std::min(next[j], before[j - 2] + 1);
    }
    std::swap(before, row);
    std::swap(row, next);
  }
  return row.back();
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

}  // namespace

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::string_view next_word(std::string_view& text) noexcept {
  text.remove_prefix(std::min(text.find_first_not_of(" \n"), text.size()));
  const auto word = text.substr(0, std::min(text.find_first_of(" \n"), text.size()));
  text.remove_prefix(word.size());
  return word;
}

std::optional<std::uint64_t> parse_u64(std::string_view text) noexcept { return parse_whole<std::uint64_t>(text); }
std::optional<std::int64_t> parse_i64(std::string_view text) noexcept { return parse_whole<std::int64_t>(text); }

std::optional<double> parse_finite(std::string_view text) noexcept {
  const auto value = parse_whole<double>(text);
  if (!value || !std::isfinite(*value)) return std::nullopt;
  return value;
}

std::optional<std::int64_t> parse_duration_ns(std::string_view text) noexcept {
  text = trim(text);
  constexpr std::array<std::pair<std::string_view, double>, 6> units{
      {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}}};
  const std::size_t letters = text.find_first_not_of("0123456789.");
  if (letters == 0 || letters == std::string_view::npos) return std::nullopt;
  const auto number = parse_finite(text.substr(0, letters));
  if (!number) return std::nullopt;
  for (const auto& [unit, factor] : units) {
    if (text.substr(letters) != unit) continue;
    const double ns = *number * factor;
    if (ns >= 9.2e18) return std::nullopt;
    return static_cast<std::int64_t>(std::llround(ns));
  }
  return std::nullopt;
}

void for_each_line(std::string_view text, const std::function<void(std::string_view)>& line) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view one = text.substr(0, end);
    if (!one.empty() && one.back() == '\r') one.remove_suffix(1);
    line(one);
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string format_number(double value) {
  if (!std::isfinite(value)) return {};
  std::array<char, 40> buffer{};
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return error == std::errc{} ? std::string(buffer.data(), end) : std::string{};
}

std::string format_fixed(double value, int digits) {
  if (!std::isfinite(value)) return {};
  std::array<char, 400> buffer{};
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, digits);
  if (error != std::errc{}) return {};
  std::string text(buffer.data(), end);
  const bool zero = text.find_first_not_of("-0.") == std::string::npos;
  if (zero && text.front() == '-') text.erase(0, 1);  // "-0.0" would claim a sign that was rounded away
  return text;
}

std::string csv_field(std::string_view text) {
  const bool edge_space = !text.empty() && (is_space(text.front()) || is_space(text.back()));
  if (!edge_space && text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted += '"';
}

std::string format_utc(std::int64_t wall_ns) {
  std::int64_t ms = wall_ns / 1'000'000 - (wall_ns % 1'000'000 < 0 ? 1 : 0);
  std::int64_t days = ms / 86'400'000 - (ms % 86'400'000 < 0 ? 1 : 0);
  ms -= days * 86'400'000;
  // Civil date from days since 1970 (Howard Hinnant, "chrono-compatible low-level date algorithms").
  days += 719'468;
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const std::int64_t day_of_era = days - era * 146'097;
  const std::int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t month_shifted = (5 * day_of_year + 2) / 153;
  const std::int64_t day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
  const std::int64_t month = month_shifted < 10 ? month_shifted + 3 : month_shifted - 9;
  const std::int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  const auto padded = [](std::int64_t value, std::size_t digits) {
    std::string text = std::to_string(value);
    return text.size() < digits ? std::string(digits - text.size(), '0') + text : text;
  };
  return padded(year, 4) + "-" + padded(month, 2) + "-" + padded(day, 2) + "T" + padded(ms / 3'600'000, 2) + ":" +
         padded(ms / 60'000 % 60, 2) + ":" + padded(ms / 1000 % 60, 2) + "." + padded(ms % 1000, 3) + "Z";
}

std::string compact_utc(std::int64_t wall_ns) {
  std::string compact;
  for (const char c : format_utc(wall_ns).substr(0, 19))
    if (c != '-' && c != ':') compact += c;
  return compact;
}

std::string printable(std::string_view text, std::size_t columns) {
  std::string out;
  std::size_t used = 0;
  std::size_t before_last = 0;  // length of `out` while it was still one column short of the limit
  for (std::size_t at = 0; at < text.size();) {
    const Utf8 one = decode_utf8(text, at);
    const bool bad = one.length == 0 || is_control(one.code);
    const std::size_t width = bad ? 1 : columns_of(one.code);
    if (used + width > columns) {
      if (columns == 0) return {};
      out.resize(before_last);
      return out + "…";
    }
    out += bad ? std::string("\uFFFD") : std::string(text.substr(at, one.length));
    used += width;
    if (used + 1 <= columns) before_last = out.size();
    at += one.length == 0 ? 1 : one.length;
  }
  return out;
}

std::size_t display_width(std::string_view text) noexcept {
  std::size_t width = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8 one = decode_utf8(text, at);
    width += one.length == 0 ? 1 : columns_of(one.code);
    at += one.length == 0 ? 1 : one.length;
  }
  return width;
}

std::vector<std::string> nearest_names(std::string_view word, const std::vector<std::string>& candidates,
                                       std::size_t most, std::optional<std::size_t> within) {
  const std::size_t farthest = within.value_or(std::max<std::size_t>(1, word.size() / 3));
  const std::string wanted = lower_case(word);
  std::vector<std::pair<std::size_t, const std::string*>> near;
  for (const std::string& candidate : candidates) {
    const bool beginning = !within && word.size() >= 3 && candidate.starts_with(word);
    const std::size_t lengths =
        std::max(word.size(), candidate.size()) - std::min(word.size(), candidate.size());  // at least so far apart
    if (!beginning && lengths > farthest) continue;
    const std::size_t distance = beginning ? 1 : edit_distance(wanted, lower_case(candidate));
    if (distance <= farthest) near.emplace_back(distance, &candidate);
  }
  std::sort(near.begin(), near.end());  // the equally near in the candidates' order
  std::vector<std::string> names;
  for (const auto& [distance, name] : near)
    if (names.size() < most && std::find(names.begin(), names.end(), *name) == names.end()) names.push_back(*name);
  return names;
}

std::optional<std::string> nearest_name(std::string_view word, const std::vector<std::string>& candidates) {
  const auto names = nearest_names(word, candidates, 1);
  return names.empty() ? std::nullopt : std::optional(names.front());
}

Result<std::string> read_whole_file(const std::string& path, std::size_t limit) {
  auto fd = Fd::open(path, O_RDONLY);
  if (!fd) return Unexpected<Error>(fd.error());
  std::string text;
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t got = ::read(fd->get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Unexpected<Error>(error_from_errno(errno, path, "cannot read"));
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    if (text.size() > limit) return fail(ErrorCode::full, "longer than " + std::to_string(limit) + " bytes", path);
  }
}

}  // namespace prony
