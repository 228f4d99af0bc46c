#include "exchange/csv_table.hpp"

#include "base/text.hpp"

namespace prony::exchange {

namespace {

// Cells of one line; a quoted one may hold commas and doubled quotes.
Cells cells_of(std::string_view line) {
  Cells cells(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"')
      cells.back() += line[i++];
    else if (line[i] == '"')
      quoted = !quoted;
    else if (line[i] == ',' && !quoted)
      cells.emplace_back();
    else
      cells.back() += line[i];
  }
  for (std::string& cell : cells) cell = std::string(trim(cell));
  return cells;
}

}  // namespace

std::string CsvTable::cell(const Cells& row, const char* name) const {
  const auto at = columns.find(name);
  return at == columns.end() || at->second >= row.size() ? std::string() : row[at->second];
}

std::optional<double> CsvTable::number(const Cells& row, const char* name) const {
  return parse_finite(cell(row, name));
}

Result<CsvTable> csv_of(std::string_view bytes, std::vector<std::string>& notes) {
  CsvTable table;
  std::size_t number = 0, doubled = 0, bad = 0, columns = 0;
  const bool ended = !bytes.empty() && bytes.back() == '\n';
  const std::size_t last_begin = bytes.rfind('\n') + 1;  // npos + 1 = 0
  bool cut = false;
  for_each_line(bytes, [&](std::string_view line) {
    ++number;
    if (trim(line).empty()) return;
    Cells cells = cells_of(line);
    if (columns == 0) {
      columns = cells.size();
      for (std::size_t i = 0; i < columns; ++i) table.columns.emplace(cells[i], i);
      return;
    }
    const bool last = !ended && line.data() == bytes.data() + last_begin;
    if (last && cells.size() != columns) {
      cut = true;
    } else if (cells.size() != columns) {
      if (bad == 0) bad = number;
    } else if (!table.rows.empty() && table.rows.back() == cells) {
      ++doubled;
    } else {
      table.rows.push_back(std::move(cells));
      table.lines.push_back(number);
    }
  });
  if (bad > 0)
    return fail(ErrorCode::malformed, "not as many cells as the first line has", "line " + std::to_string(bad));
  if (cut) notes.push_back("the last line (" + std::to_string(number) + ") was not written to its end: left out");
  if (doubled > 0) notes.push_back(std::to_string(doubled) + " lines that were there already: left out");
  return table;
}

}  // namespace prony::exchange
