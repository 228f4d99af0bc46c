#include <array>
#include <string>
#include <vector>

#include "base/text.hpp"
#include "sinks/sink.hpp"
#include "sinks/stream.hpp"

namespace prony {

namespace {

constexpr std::array<SinkRow, 2> sink_rows{
    {{"csv", "comma-separated values, RFC 4180, with a header row; an absent value is an empty field", make_csv_sink},
     {"jsonl", "one JSON object per line; an absent value is left out", make_jsonl_sink}}};

constexpr std::array<StreamRow, 5> streams{
    {{"csv", "csv:FILE", "a row each interval, units in the header", make_csv_stream},
     {"jsonl", "jsonl:FILE", "a JSON object each interval", make_jsonl_stream},
     {"prometheus", "prometheus:[ADDRESS:]PORT", "scraped by Prometheus: OpenMetrics over HTTP(S)",
      make_prometheus_stream},
     {"remote", "remote:https://HOST:PORT",
      "sent to `prony collect` on another machine; waits on disk while that is away", make_remote_stream},
     {"run", "run:FILE.prony", "the Run file: every reading, for show, export and replay", nullptr}}};

}  // namespace

std::span<const SinkRow> sink_catalog() noexcept { return sink_rows; }

Result<std::unique_ptr<Sink>> make_sink(std::string_view name) {
  std::vector<std::string> names;
  std::string all;
  for (const SinkRow& row : sink_rows) {
    if (row.name == name) return row.make();
    names.emplace_back(row.name);
    all += (all.empty() ? "" : ", ") + names.back();
  }
  const auto nearest = nearest_name(name, names);
  return fail(ErrorCode::usage, "there is no format called '" + printable(name, 40) + "'", "--format",
              (nearest ? "did you mean '" + *nearest + "'? " : std::string()) + "Formats: " + all);
}

std::span<const StreamRow> stream_catalogue() noexcept { return streams; }

Result<const StreamRow*> find_stream(std::string_view kind) {
  std::vector<std::string> names;
  std::string all;
  for (const StreamRow& row : streams) {
    if (row.name == kind) return &row;
    names.emplace_back(row.name);
    all += (all.empty() ? "" : ", ") + std::string(row.form);
  }
  const auto nearest = nearest_name(kind, names);
  return fail(ErrorCode::usage, "there is no sink called '" + printable(kind, 40) + "'", "--sink",
              (nearest ? "Did you mean '" + *nearest + "'? " : std::string()) + "Sinks: " + all);
}

}  // namespace prony
