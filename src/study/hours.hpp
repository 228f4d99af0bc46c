// When runs may be begun, by the clock on the wall: from a time of day on, within some hours, on some days. Pure; what
// the local time is, the caller says. Minutes of the day, from 0; weekdays from Sunday, 0, as in struct tm.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace prony::study {

struct Hours {
  std::optional<int> at;                      // the first run waits for it; later ones do not
  std::optional<std::pair<int, int>> window;  // from the first to before the second, over midnight where it is smaller
  std::array<bool, 7> days{true, true, true, true,
                           true, true, true};   // on which the window begins; without: whole days
  [[nodiscard]] bool limited() const noexcept;  // some minute of the week is closed
  bool operator==(const Hours&) const = default;
};

// "22:30" → 1350.
[[nodiscard]] std::optional<int> minute_of_day(std::string_view text) noexcept;
// "22:00-06:00"; both ends equal are none.
[[nodiscard]] std::optional<std::pair<int, int>> window_of(std::string_view text) noexcept;
// "mon", "weekdays", "weekend", "daily" put into `days`. False: no such day.
[[nodiscard]] bool add_days(std::string_view text, std::array<bool, 7>& days) noexcept;

// May a run be begun in this minute?
[[nodiscard]] bool open_at(const Hours& hours, int weekday, int minute) noexcept;

[[nodiscard]] std::string clock_words(int minute);  // "22:30"
// "from the next 22:00 on, begun only 22:00-06:00 on mon tue"; "" where nothing is said.
[[nodiscard]] std::string words_of(const Hours& hours);

}  // namespace prony::study
