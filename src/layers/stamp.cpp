#include "layers/stamp.hpp"

#include <cstdio>
#include <cstring>

namespace prony::layers {

namespace {

// Days since 1970-01-01 of a day of the Gregorian calendar, and back (Howard Hinnant, chrono-compatible date
// algorithms).
std::int64_t days_of(std::int64_t year, unsigned month, unsigned day) {
  year -= month <= 2;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const auto of_era = static_cast<unsigned>(year - era * 400);
  const unsigned of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return era * 146097 + static_cast<std::int64_t>(of_era * 365 + of_era / 4 - of_era / 100 + of_year) - 719468;
}

struct Day {
  std::int64_t year = 1970;
  unsigned month = 1, day = 1;
};
Day day_of(std::int64_t days) {
  days += 719468;
  const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const auto of_era = static_cast<unsigned>(days - era * 146097);
  const unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
  const unsigned shifted = (5 * of_year + 2) / 153;
  Day day;
  day.day = of_year - (153 * shifted + 2) / 5 + 1;
  day.month = shifted < 10 ? shifted + 3 : shifted - 9;
  day.year = static_cast<std::int64_t>(year) + era * 400 + (day.month <= 2);
  return day;
}

unsigned days_in(std::int64_t year, unsigned month) {
  constexpr std::array<unsigned, 12> days{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : days[month - 1];
}

// Digits at the front of `text`, which loses them: at least one, at most `most`.
std::optional<unsigned> digits_of(std::string_view& text, std::size_t most) {
  unsigned value = 0;
  std::size_t count = 0;
  while (count < most && count < text.size() && text[count] >= '0' && text[count] <= '9')
    value = value * 10 + static_cast<unsigned>(text[count++] - '0');
  if (count == 0) return std::nullopt;
  text.remove_prefix(count);
  return value;
}

bool skip_sign(std::string_view& text, char sign) {
  if (!text.starts_with(sign)) return false;
  text.remove_prefix(1);
  return true;
}

constexpr std::size_t full_length =
    24;  // "20241121-05:20:04.261448": all six digits after the point, as Python writes it

// "05:20:04.261448", all of it: no search for where numbers end. Microseconds of the day.
std::optional<std::int64_t> full_time(const char* text) noexcept {
  unsigned bad = 0;
  const auto digits = [&](std::size_t from, std::size_t count) {
    unsigned value = 0;
    for (std::size_t i = from; i < from + count; ++i) {
      const unsigned digit = static_cast<unsigned char>(text[i]) - unsigned{'0'};
      bad |= static_cast<unsigned>(digit > 9);
      value = value * 10 + digit;
    }
    return value;
  };
  const unsigned hour = digits(0, 2), minute = digits(3, 2), second = digits(6, 2), us = digits(9, 6);
  bad |= static_cast<unsigned>(hour > 23) | static_cast<unsigned>(minute > 59) | static_cast<unsigned>(second > 59) |
         static_cast<unsigned>(text[2] != ':') | static_cast<unsigned>(text[5] != ':') |
         static_cast<unsigned>(text[8] != '.');
  if (bad != 0) return std::nullopt;
  return std::int64_t{(hour * 60 + minute) * 60 + second} * 1'000'000 + us;
}

}  // namespace

std::optional<std::int64_t> parse_stamp(std::string_view text) noexcept {
  if (text.size() < 8) return std::nullopt;
  std::string_view date = text.substr(0, 8);
  const auto year = digits_of(date, 4), month = digits_of(date, 2), day = digits_of(date, 2);
  if (!year || !month || !day || !date.empty() || *year == 0 || *month < 1 || *month > 12 || *day < 1 ||
      *day > days_in(*year, *month))
    return std::nullopt;
  text.remove_prefix(8);
  if (!skip_sign(text, '-')) return std::nullopt;
  const auto hour = digits_of(text, 2);
  if (!hour || *hour > 23 || !skip_sign(text, ':')) return std::nullopt;
  const auto minute = digits_of(text, 2);
  if (!minute || *minute > 59 || !skip_sign(text, ':')) return std::nullopt;
  const auto second = digits_of(text, 2);
  if (!second || *second > 59 || !skip_sign(text, '.')) return std::nullopt;
  const std::size_t places = text.size();
  const auto fraction = digits_of(text, 6);
  if (!fraction || !text.empty()) return std::nullopt;
  std::int64_t us = *fraction;
  for (std::size_t i = places; i < 6; ++i) us *= 10;
  return ((days_of(*year, *month, *day) * 24 + *hour) * 60 + *minute) * 60'000'000 + *second * std::int64_t{1'000'000} +
         us;
}

std::string format_stamp(std::int64_t us) {
  constexpr std::int64_t a_day = 86'400'000'000;
  std::int64_t days = us / a_day, rest = us % a_day;
  if (rest < 0) rest += a_day, --days;
  const Day day = day_of(days);
  std::array<char, 96> text{};
  std::snprintf(text.data(), text.size(), "%04lld%02u%02u-%02d:%02d:%02d.%06d", static_cast<long long>(day.year),
                day.month, day.day, static_cast<int>(rest / 3'600'000'000), static_cast<int>(rest / 60'000'000 % 60),
                static_cast<int>(rest / 1'000'000 % 60), static_cast<int>(rest % 1'000'000));
  return text.data();
}

std::optional<std::int64_t> StampReader::operator()(std::string_view text) noexcept {
  if (text.size() != full_length) return parse_stamp(text);
  const auto time = full_time(text.data() + day_.size());
  if (!time) return std::nullopt;
  if (std::memcmp(text.data(), day_.data(), day_.size()) == 0) return day_us_ + *time;
  const auto us = parse_stamp(text);
  if (!us) return std::nullopt;
  std::memcpy(day_.data(), text.data(), day_.size());
  day_us_ = *us - *time;
  return us;
}

}  // namespace prony::layers
