// Words of HTTP's heads, as both ends of a connection read them: ASCII only, whatever the locale. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace prony_http {

// Without the spaces and tabs around it.
[[nodiscard]] std::string_view trimmed(std::string_view text);
[[nodiscard]] std::string lower(std::string_view text);
// The whole text as a number in this base; nullopt: empty, anything else in it, or beyond 2^64 - 1.
[[nodiscard]] std::optional<std::uint64_t> whole_number(std::string_view text, int base);

}  // namespace prony_http
