#include "study/hours.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace prony::study {

namespace {

constexpr std::array<std::string_view, 7> day_names{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr int minutes_a_day = 24 * 60;

bool all_days(const Hours& hours) {
  return std::ranges::all_of(hours.days, [](bool day) { return day; });
}

}  // namespace

bool Hours::limited() const noexcept { return window.has_value() || !all_days(*this); }

std::optional<int> minute_of_day(std::string_view text) noexcept {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon > 2 || text.size() != colon + 3) return std::nullopt;
  const auto hours = parse_u64(text.substr(0, colon)), minutes = parse_u64(text.substr(colon + 1));
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  return static_cast<int>(*hours * 60 + *minutes);
}

std::optional<std::pair<int, int>> window_of(std::string_view text) noexcept {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto begin = minute_of_day(trim(text.substr(0, dash)));
  const std::string_view rest = trim(text.substr(dash + 1));
  const auto end = rest == "24:00" ? std::optional(minutes_a_day) : minute_of_day(rest);
  if (!begin || !end || *begin == *end) return std::nullopt;
  return std::pair(*begin, *end);
}

bool add_days(std::string_view text, std::array<bool, 7>& days) noexcept {
  bool known = false;
  for (std::size_t day = 0; day < days.size(); ++day) {
    const bool working = day >= 1 && day <= 5;
    if (text != day_names[day] && text != "daily" && !(text == "weekdays" && working) &&
        !(text == "weekend" && !working))
      continue;
    days[day] = known = true;
  }
  return known;
}

bool open_at(const Hours& hours, int weekday, int minute) noexcept {
  const auto day = static_cast<std::size_t>(((weekday % 7) + 7) % 7), before = (day + 6) % 7;
  if (!hours.window) return hours.days[day];
  const auto [begin, end] = *hours.window;
  if (begin < end) return hours.days[day] && minute >= begin && minute < end;
  return (hours.days[day] && minute >= begin) || (hours.days[before] && minute < end);
}

std::string clock_words(int minute) {
  const auto two = [](int number) { return (number < 10 ? "0" : "") + std::to_string(number); };
  return two(minute / 60) + ":" + two(minute % 60);
}

std::string words_of(const Hours& hours) {
  std::string out;
  if (hours.at) out = "from the next " + clock_words(*hours.at) + " on";
  if (!hours.limited()) return out;
  if (!out.empty()) out += ", ";
  out += "begun only ";
  if (hours.window) out += clock_words(hours.window->first) + "-" + clock_words(hours.window->second);
  if (all_days(hours)) return out;
  out += hours.window ? " on" : "on";
  for (std::size_t day = 0; day < day_names.size(); ++day)
    if (hours.days[day]) out += " " + std::string(day_names[day]);
  return out;
}

}  // namespace prony::study
