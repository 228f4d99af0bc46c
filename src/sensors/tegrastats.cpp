#include "sensors/tegrastats.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "sensors/jetson_rails.hpp"

namespace prony {

namespace {

constexpr std::int64_t most_rail_mw = 10'000'000;  // 10 kW: no board draws it
constexpr std::string_view blanks = " \t\r\n";

// The word at or after `at`, which moves behind it; empty: the line is over.
std::string_view word_at(std::string_view line, std::size_t& at) noexcept {
  at = std::min(line.find_first_not_of(blanks, at), line.size());
  const auto end = std::min(line.find_first_of(blanks, at), line.size());
  const auto word = line.substr(at, end - at);
  at = end;
  return word;
}

bool is_label(std::string_view word) noexcept {
  const auto upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  return !word.empty() && word.size() <= 40 && upper(word.front()) &&
         std::ranges::all_of(word, [&](char c) { return upper(c) || (c >= '0' && c <= '9') || c == '_'; });
}

bool is_known(std::string_view label) noexcept {
  return std::ranges::any_of(jetson_boards(), [&](const JetsonBoard& board) {
    return std::ranges::find(board.rails, label, &JetsonRail::label) != board.rails.end();
  });
}

// "4968mW" or "4968"; `unit` says which.
std::optional<std::int64_t> milliwatts(std::string_view text, bool& unit) noexcept {
  unit = text.ends_with("mW");
  if (unit) text.remove_suffix(2);
  if (text.empty() || text.front() == '+') return std::nullopt;
  const auto value = parse_i64(text);
  return value && *value >= -most_rail_mw && *value <= most_rail_mw ? value : std::nullopt;
}

}  // namespace

std::optional<TegrastatsRail> next_tegrastats_rail(std::string_view line, std::size_t& at) noexcept {
  for (auto label = word_at(line, at); !label.empty();) {
    std::size_t behind = at;
    const auto value = word_at(line, behind);
    const auto slash = value.find('/');
    bool unit = false, mean_unit = false;
    const auto now = slash == std::string_view::npos ? std::nullopt : milliwatts(value.substr(0, slash), unit);
    const auto mean = now ? milliwatts(value.substr(slash + 1), mean_unit) : std::nullopt;
    if (mean && unit == mean_unit && is_label(label) && (unit || is_known(label))) {
      at = behind;
      return TegrastatsRail{label, *now, *mean};
    }
    label = value;  // no rail: its second word may be the next one's label
    at = behind;
  }
  return std::nullopt;
}

std::optional<std::int64_t> tegrastats_percent(std::string_view line, std::string_view name) noexcept {
  std::size_t at = 0;
  for (auto word = word_at(line, at); !word.empty(); word = word_at(line, at)) {
    if (word != name) continue;
    const auto value = word_at(line, at);
    const auto sign = value.find('%');
    if (sign == std::string_view::npos) return std::nullopt;
    const auto percent = parse_u64(value.substr(0, sign));
    return percent && *percent <= 100 ? std::optional(static_cast<std::int64_t>(*percent)) : std::nullopt;
  }
  return std::nullopt;
}

std::string_view last_tegrastats_line(std::string_view text) noexcept {
  while (!text.empty()) {
    const auto end = text.find_last_not_of("\r\n");
    if (end == std::string_view::npos) return {};
    text = text.substr(0, end + 1);
    const auto begin = text.find_last_of("\r\n");
    const auto line = begin == std::string_view::npos ? text : text.substr(begin + 1);
    std::size_t at = 0;
    if (next_tegrastats_rail(line, at) || tegrastats_percent(line, "GR3D_FREQ")) return line;
    text = begin == std::string_view::npos ? std::string_view{} : text.substr(0, begin);
  }
  return {};
}

}  // namespace prony
