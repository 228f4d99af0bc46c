#include <array>
#include <string>
#include <vector>

#include "base/text.hpp"
#include "sinks/sink.hpp"

namespace prony {

namespace {

constexpr std::array<SinkRow, 2> rows{
    {{"csv", "comma-separated values, RFC 4180, with a header row; an absent value is an empty field", make_csv_sink},
     {"jsonl", "one JSON object per line; an absent value is left out", make_jsonl_sink}}};

}  // namespace

std::span<const SinkRow> sink_catalog() noexcept { return rows; }

Result<std::unique_ptr<Sink>> make_sink(std::string_view name) {
  std::vector<std::string> names;
  std::string all;
  for (const SinkRow& row : rows) {
    if (row.name == name) return row.make();
    names.emplace_back(row.name);
    all += (all.empty() ? "" : ", ") + names.back();
  }
  const auto nearest = nearest_name(name, names);
  return fail(ErrorCode::usage, "there is no format called '" + printable(name, 40) + "'", "--format",
              (nearest ? "did you mean '" + *nearest + "'? " : std::string()) + "Formats: " + all);
}

}  // namespace prony
