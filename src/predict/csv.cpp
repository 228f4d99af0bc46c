#include "predict/csv.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace prony::predict {

namespace {

// One row from `at`, which moves behind its end; `line` counts the ends of lines that were passed.
Result<std::vector<std::string>> next_row(std::string_view text, std::size_t& at, std::size_t& line,
                                          const std::string& where) {
  std::vector<std::string> fields(1);
  const std::size_t first = line;
  bool quoted = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\n') ++line;
    if (quoted) {
      if (c != '"')
        fields.back() += c;
      else if (at + 1 < text.size() && text[at + 1] == '"')
        fields.back() += text[++at];
      else
        quoted = false;
    } else if (c == '"' && fields.back().empty()) {
      quoted = true;
    } else if (c == ',') {
      fields.emplace_back();
    } else if (c == '\n') {
      ++at;
      break;
    } else if (c != '\r' || at + 1 >= text.size() || text[at + 1] != '\n') {
      fields.back() += c;
    }
  }
  if (quoted)
    return fail(ErrorCode::malformed, "a quoted field that does not end", where + ":" + std::to_string(first));
  return fields;
}

}  // namespace

std::optional<std::size_t> CsvTable::column(std::string_view name) const {
  const auto found = std::find(header.begin(), header.end(), name);
  if (found == header.end()) return std::nullopt;
  return static_cast<std::size_t>(found - header.begin());
}

Result<CsvTable> parse_csv(std::string_view text, const std::string& where) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  CsvTable table;
  std::size_t at = 0, line = 1;
  while (at < text.size()) {
    const std::size_t here = line;
    auto fields = next_row(text, at, line, where);
    if (!fields) return Unexpected<Error>(fields.error());
    if (fields->size() == 1 && trim(fields->front()).empty()) continue;
    if (table.header.empty()) {
      for (std::string& name : *fields) table.header.emplace_back(trim(name));
      continue;
    }
    if (fields->size() != table.header.size())
      return fail(
          ErrorCode::malformed,
          std::to_string(fields->size()) + " fields where the header has " + std::to_string(table.header.size()),
          where + ":" + std::to_string(here));
    table.rows.push_back(std::move(*fields));
    table.lines.push_back(here);
  }
  if (table.header.empty()) return fail(ErrorCode::malformed, "no header: the table is empty", where);
  return table;
}

}  // namespace prony::predict
