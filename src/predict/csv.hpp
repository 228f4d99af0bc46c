// Tables as text: a header and rows of the same number of fields, quoted as RFC 4180 has it. Bounded by the text that
// was given. Errors: malformed, with the line. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace prony::predict {

struct CsvTable {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  std::vector<std::size_t> lines;  // of each row, counted from 1
  [[nodiscard]] std::optional<std::size_t> column(std::string_view name) const;
};

[[nodiscard]] Result<CsvTable> parse_csv(std::string_view text, const std::string& where);

}  // namespace prony::predict
