// `prony export RUN --format csv|jsonl --table samples|spans|charges|channels|requests|targets|processes|passports`
#include <CLI/CLI.hpp>
#include <memory>

#include "app/common.hpp"
#include "app/subcommand.hpp"
#include "app/write_file.hpp"
#include "base/text.hpp"
#include "store/run.hpp"

namespace prony::app {

namespace {

struct ExportOptions {
  std::string path;
  std::string format = "csv";
  std::string table = "samples";
  std::string out = "-";
};

int export_run(const ExportOptions& options) {
  auto run = Run::open(options.path);
  if (!run) {
    print_error(run.error());
    return exit_code::own_failure;
  }
  if (const auto simulated = (*run)->manifest().get("machine.simulated"))
    print_note("simulated " + printable(*simulated, 40) + ": no joule here is real");
  if (auto done = export_table(**run, options.table, options.format, options.out); !done) {
    print_error(done.error());
    return exit_code::own_failure;
  }
  return exit_code::ok;
}

}  // namespace

std::function<int(const CommandWords&)> add_export(CLI::App& command) {
  auto options = std::make_shared<ExportOptions>();
  command.add_option("RUN", options->path, "A Run file")->required();
  command.add_option("--format", options->format, "csv or jsonl (default csv)")->type_name("NAME");
  command
      .add_option("--table", options->table,
                  "samples, spans, charges, channels, requests, targets, processes,\npassports")
      ->type_name("NAME");
  command.add_option("--out", options->out, "Write here instead of to standard output")->type_name("FILE");
  return [options](const CommandWords&) { return export_run(*options); };
}

}  // namespace prony::app
