// The text as valid UTF-8 without NUL: every byte that is neither becomes U+FFFD. Pure; any thread.
// Why: readers of CSV and JSON stop at a NUL or at a byte that is not UTF-8, and a process name may hold any byte.
#pragma once

#include <string>
#include <string_view>

namespace prony {

[[nodiscard]] std::string valid_text(std::string_view text);

}  // namespace prony
