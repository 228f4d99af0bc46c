// `prony export RUN --format csv|jsonl --table samples|spans|charges|channels|requests|targets|processes|passports`,
// and
// `--format aiperf|vllm|…`: requests as another tool writes them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>

#include "app/common.hpp"
#include "app/subcommand.hpp"
#include "app/thesis_folder.hpp"
#include "app/write_file.hpp"
#include "base/text.hpp"
#include "exchange/writers.hpp"
#include "reports/summary.hpp"
#include "sinks/sink.hpp"
#include "store/run.hpp"

namespace prony::app {

namespace {

struct ExportOptions {
  std::string path;
  std::string format = "csv";
  std::string table;  // empty: samples, of formats that have tables
  std::string out = "-";
};

Result<void> export_requests(const Run& run, const exchange::WriterRow& writer, const ExportOptions& options) {
  if (!options.table.empty())
    return fail(ErrorCode::usage, std::string(writer.name) + " has no tables: it is of requests", "--table",
                "Leave --table out, or take csv or jsonl.");
  const auto summary = summarise(run);
  if (!summary) return Unexpected<Error>(summary.error());
  exchange::WallOffset wall;
  if (!run.anchors().empty()) wall = run.anchors().front().wall_ns - run.anchors().front().monotonic.ns;
  std::error_code ignored;
  if (writer.name == "llm-thesis" &&
      (options.out.ends_with('/') || std::filesystem::is_directory(options.out, ignored))) {
    const auto id = write_thesis_folder(options.out, *summary, wall);
    if (!id) return Unexpected<Error>(id.error());
    print_note("it is run " + *id + " there");
    return {};
  }
  const auto text = writer.write(*summary, wall);
  if (!text) return Unexpected<Error>(text.error());
  return write_file(options.out, *text);
}

Result<void> known_format(const std::string& format) {
  std::vector<std::string> names;
  for (const SinkRow& row : sink_catalog()) names.emplace_back(row.name);
  for (const exchange::WriterRow& row : exchange::writer_rows()) names.emplace_back(row.name);
  if (std::ranges::find(names, format) != names.end()) return {};
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  const auto near = nearest_name(format, names);
  return fail(ErrorCode::usage, "there is no format called '" + printable(format, 40) + "'", "--format",
              (near ? "did you mean '" + *near + "'? " : std::string()) + "Formats: " + all);
}

Result<void> export_to(const Run& run, const ExportOptions& options) {
  if (const exchange::WriterRow* writer = exchange::find_writer(options.format))
    return export_requests(run, *writer, options);
  if (auto known = known_format(options.format); !known) return known;
  return export_table(run, options.table.empty() ? "samples" : options.table, options.format, options.out);
}

int export_run(const ExportOptions& options) {
  auto run = Run::open(options.path);
  if (!run) {
    print_error(run.error());
    return exit_code::own_failure;
  }
  if (const auto simulated = (*run)->manifest().get("machine.simulated"))
    print_note("simulated " + printable(*simulated, 40) + ": no joule here is real");
  if (auto done = export_to(**run, options); !done) {
    print_error(done.error());
    return exit_code::own_failure;
  }
  return exit_code::ok;
}

}  // namespace

std::function<int(const CommandWords&)> add_export(CLI::App& command) {
  auto options = std::make_shared<ExportOptions>();
  command.add_option("RUN", options->path, "A Run file")->required();
  command
      .add_option(
          "--format", options->format,
          "csv or jsonl (default csv); as another tool writes requests:\naiperf, vllm, llama-bench, benchstat,\n"
          "llenergymeasure, llm-thesis, llm-thesis-csv")
      ->type_name("NAME");
  command
      .add_option("--table", options->table,
                  "samples, spans, charges, channels, requests, targets, processes,\npassports")
      ->type_name("NAME");
  command.add_option("--out", options->out, "Write here instead of to standard output")->type_name("FILE");
  return [options](const CommandWords&) { return export_run(*options); };
}

}  // namespace prony::app
