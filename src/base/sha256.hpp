// SHA-256 of bytes, as 64 hexadecimal digits: what a data set's files are checked by. No secret is kept with it.
// Pure; any thread. Source: FIPS 180-4.
#pragma once

#include <string>
#include <string_view>

namespace prony {

[[nodiscard]] std::string sha256_hex(std::string_view bytes);

}  // namespace prony
