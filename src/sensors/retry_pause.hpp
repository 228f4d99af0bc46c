// How long to wait before what failed is tried again. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

#include "model/time.hpp"

namespace prony {

// A file that is gone.
inline constexpr std::int64_t reopen_pause_ns = 1'000'000'000;

// Something in the network that does not answer: a second, then twice as long each time.
inline constexpr Duration longest_pause = milliseconds(10'000);
[[nodiscard]] constexpr Duration longer_pause(Duration pause, Duration longest = longest_pause) noexcept {
  return std::min(longest, std::max(milliseconds(1000), 2 * pause));
}

// A chip behind its maker's library that went away: a second five times, then twice as long each time up to a minute.
[[nodiscard]] constexpr Duration pause_after(unsigned tries) noexcept {
  constexpr unsigned quick_tries = 5;
  constexpr std::int64_t longest_s = 60;
  const auto wait_s =
      tries <= quick_tries ? 1 : std::min(longest_s, std::int64_t{1} << std::min(tries - quick_tries, 6U));
  return Duration{wait_s * 1'000'000'000};
}

}  // namespace prony
