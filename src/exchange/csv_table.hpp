// A table of comma-separated values that another tool wrote, its cells by the names of the first line. Pure; internal
// to exchange. A last line that was not written to its end is left out with a note, and so is a line that repeats the
// one before. Errors: malformed (a line with another number of cells, by its number).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace prony::exchange {

using Cells = std::vector<std::string>;

struct CsvTable {
  std::map<std::string, std::size_t> columns;
  std::vector<Cells> rows;
  std::vector<std::size_t> lines;  // of the file, from 1, one a row
  [[nodiscard]] bool has(const char* name) const { return columns.contains(name); }
  [[nodiscard]] std::string cell(const Cells& row, const char* name) const;  // "": it is not there
  [[nodiscard]] std::optional<double> number(const Cells& row, const char* name) const;
};

[[nodiscard]] Result<CsvTable> csv_of(std::string_view bytes, std::vector<std::string>& notes);

}  // namespace prony::exchange
