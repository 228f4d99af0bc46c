// JSON Lines: one object per row, UTF-8, "\n"; a key whose cell is absent is left out. Keys keep the columns' order.
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "sinks/sink.hpp"
#include "sinks/utf8.hpp"

namespace prony {

namespace {

class JsonlSink final : public Sink {
 public:
  Result<std::uint64_t> write(Table& table, std::ostream& out) override {
    const std::vector<Column>& columns = table.columns();
    std::uint64_t rows = 0;
    std::vector<Cell> row(columns.size());
    while (true) {
      const auto more = table.next(row);
      if (!more) return Unexpected<Error>(more.error());
      if (!*more) break;
      nlohmann::ordered_json object = nlohmann::ordered_json::object();
      for (std::size_t c = 0; c < row.size(); ++c) add(object, columns[c].name, row[c]);
      const std::string line = object.dump() + '\n';
      out.write(line.data(), static_cast<std::streamsize>(line.size()));
      if (!out) break;
      ++rows;
    }
    out.flush();
    if (!out)
      return fail(ErrorCode::full, "the output takes no more bytes", "jsonl", "free space there, or write elsewhere");
    return rows;
  }

 private:
  static void add(nlohmann::ordered_json& object, const std::string& name, const Cell& cell) {
    const std::string key = valid_text(name);
    if (const auto* integer = std::get_if<std::int64_t>(&cell)) {
      object[key] = *integer;
    } else if (const auto* number = std::get_if<double>(&cell)) {
      if (std::isfinite(*number)) object[key] = *number;  // JSON has no NaN, and null would be a value
    } else if (const auto* text = std::get_if<std::string>(&cell)) {
      object[key] = valid_text(*text);
    }
  }
};

}  // namespace

std::unique_ptr<Sink> make_jsonl_sink() { return std::make_unique<JsonlSink>(); }

}  // namespace prony
