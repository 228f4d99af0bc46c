// Times that tests of what is stamped go by.
#pragma once

#include <cstdint>

namespace prony {

inline constexpr std::int64_t second_ns = 1'000'000'000;
inline constexpr std::int64_t noon_ns = 1'795'262'400'000'000'000;  // 2026-11-21T12:00:00Z

}  // namespace prony
