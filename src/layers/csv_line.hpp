// One line of CSV (RFC 4180) into its fields, quotes undone. A quoted field that holds a line break is not understood:
// none of the formats read here has one. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace prony::layers {

// false: a quote is left open.
[[nodiscard]] bool split_csv(std::string_view line, std::vector<std::string>& fields);

}  // namespace prony::layers
