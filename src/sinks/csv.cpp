// CSV as RFC 4180 has it: CRLF, quotes doubled, header row. An absent cell is an empty field; an empty text is "".
// That one difference keeps absent and empty apart for readers that look (and costs nothing for those that do not).
#include <string>

#include "base/text.hpp"
#include "sinks/sink.hpp"
#include "sinks/utf8.hpp"

namespace prony {

namespace {

std::string cell_text(const Cell& cell) {
  if (const auto* integer = std::get_if<std::int64_t>(&cell)) return std::to_string(*integer);
  if (const auto* number = std::get_if<double>(&cell)) return format_number(*number);
  if (const auto* text = std::get_if<std::string>(&cell)) return text->empty() ? "\"\"" : csv_field(valid_text(*text));
  return {};
}

class CsvSink final : public Sink {
 public:
  Result<std::uint64_t> write(Table& table, std::ostream& out) override {
    std::string line;
    for (const Column& column : table.columns()) {
      if (!line.empty()) line += ',';
      line += csv_field(valid_text(column.name));
    }
    line += "\r\n";
    out.write(line.data(), static_cast<std::streamsize>(line.size()));
    std::uint64_t rows = 0;
    std::vector<Cell> row(table.columns().size());
    while (true) {
      const auto more = table.next(row);
      if (!more) return Unexpected<Error>(more.error());
      if (!*more) break;
      line.clear();
      for (std::size_t c = 0; c < row.size(); ++c) {
        if (c > 0) line += ',';
        line += cell_text(row[c]);
      }
      line += "\r\n";
      out.write(line.data(), static_cast<std::streamsize>(line.size()));
      if (!out) break;
      ++rows;
    }
    out.flush();
    if (!out)
      return fail(ErrorCode::full, "the output takes no more bytes", "csv", "free space there, or write elsewhere");
    return rows;
  }
};

}  // namespace

std::unique_ptr<Sink> make_csv_sink() { return std::make_unique<CsvSink>(); }

}  // namespace prony
