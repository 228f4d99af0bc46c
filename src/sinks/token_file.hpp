// Tokens: secrets that stand in a file of their own, so that no command line shows them: one a line, "#" begins a
// comment. Thread promise: plain values. Errors: absent, denied of the file; usage where a line is no token that is
// hard to guess (16 to 512 visible ASCII characters). What is in the file is never told.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace prony {

// Pure: the text of such a file; `where` is named by errors.
[[nodiscard]] Result<std::vector<std::string>> parse_tokens(std::string_view text, const std::string& where);
// At least one.
[[nodiscard]] Result<std::vector<std::string>> read_tokens(const std::string& path);
// The one line of a file, as it is: white space at its ends belongs to the password.
[[nodiscard]] Result<std::string> read_password(const std::string& path);
// RFC 4648.
[[nodiscard]] std::string to_base64(std::string_view bytes);

}  // namespace prony
