// `prony show RUN`: the summary again, from the Run alone. Also prints it at the end of a recording.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <memory>

#include "app/record.hpp"
#include "app/subcommand.hpp"
#include "app/write_file.hpp"
#include "base/text.hpp"
#include "exchange/definitions.hpp"
#include "reports/summary.hpp"
#include "reports/summary_json.hpp"
#include "reports/summary_text.hpp"
#include "store/run.hpp"

namespace prony::app {

namespace {

struct ShowOptions {
  std::string path;
  bool json = false;
  bool settings = false;
  EnergyOptions energy;
  std::string idle_to;        // empty: the Run's own
  std::string request_share;  // likewise
  std::string top;
  std::string definitions;  // of which tool; empty: the summary
};

TextOptions text_options(int fd, std::size_t top = TextOptions{}.top) {
  const Terminal terminal = terminal_of(fd);
  TextOptions options;
  options.width = terminal.width;
  options.colour = terminal.colour;
  options.top = top;
  return options;
}

// The Run's requests as another tool would tell them.
int show_definitions(const Summary& summary, const ShowOptions& options) {
  const auto figures = exchange::defined_figures(summary, options.definitions);
  if (!figures) return failed(figures.error());
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  return print_result(options.json ? exchange::to_json(*figures).dump(2) + "\n"
                                   : exchange::to_text(*figures, terminal.width, terminal.colour));
}

int show(const ShowOptions& options) {
  auto run = Run::open(options.path);
  if (!run) {
    print_error(run.error());
    return exit_code::own_failure;
  }
  const auto top = top_setting(options.top);
  SummaryOptions rules;
  if (!options.idle_to.empty()) {
    const auto policy = idle_to_setting(options.idle_to);
    if (!policy) {
      print_error(policy.error());
      return exit_code::own_failure;
    }
    rules.idle_to = *policy;
  }
  rules.request_share = request_share_from(options.request_share);
  auto summary = top ? summarise(**run, rules) : Unexpected<Error>(top.error());
  if (!summary) {
    print_error(summary.error());
    return exit_code::own_failure;
  }
  if (!options.definitions.empty()) return show_definitions(*summary, options);
  if (auto factors = factors_of(options.energy)) {  // those given now take the place of the Run's own
    if (factors->carbon_g_per_kwh) summary->factors.carbon_g_per_kwh = std::move(factors->carbon_g_per_kwh);
    if (factors->pue) summary->factors.pue = std::move(factors->pue);
    if (factors->tariff) summary->factors.tariff = std::move(factors->tariff);
  } else {
    print_error(factors.error());
    return exit_code::own_failure;
  }
  std::string text;
  if (options.json) {
    text = to_json(*summary).dump(2) + "\n";
  } else if (options.settings) {
    text = settings_text(*summary, text_options(STDOUT_FILENO));
  } else {
    text = to_text(*summary, text_options(STDOUT_FILENO, *top));
  }
  if (auto written = write_file("-", text); !written) {
    print_error(written.error());
    return exit_code::own_failure;
  }
  return exit_code::ok;
}

Result<void> write_csv_folder(const Run& run, const std::string& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) return Unexpected<Error>(error_from_errno(failed.value(), folder, "cannot make the folder"));
  for (const char* name : {"samples", "requests"}) {
    const std::string path = (std::filesystem::path(folder) / (std::string(name) + ".csv")).string();
    if (auto written = export_table(run, name, "csv", path); !written) return written;
  }
  return {};
}

bool told(const Result<void>& done) {
  if (!done) print_error(done.error());
  return done.has_value();
}

}  // namespace

bool print_run(const std::string& run_path, const RecordOptions& options) {
  if (options.quiet && options.json.empty() && options.csv.empty()) return true;  // nobody asked for what is in it
  auto run = Run::open(run_path);
  if (!run) return told(Unexpected<Error>(run.error()));
  const auto summary = summarise(**run);
  if (!summary) return told(Unexpected<Error>(summary.error()));
  bool good = true;
  if (!options.quiet) {
    const auto top = top_setting(options.targets.top);
    const std::string text = to_text(*summary, text_options(STDERR_FILENO, top.value_or(TextOptions{}.top)));
    good = std::fwrite(text.data(), 1, text.size(), stderr) == text.size() && good;
  }
  if (!options.json.empty()) good = told(write_file(options.json, to_json(*summary).dump(2) + "\n")) && good;
  if (!options.csv.empty()) good = told(write_csv_folder(**run, options.csv)) && good;
  return good;
}

std::function<int(const CommandWords&)> add_show(CLI::App& command) {
  auto options = std::make_shared<ShowOptions>();
  command.add_option("RUN", options->path, "A Run file")->required();
  command.add_flag("--json", options->json, "As JSON; the names carry units");
  command
      .add_option("--definitions", options->definitions,
                  "Times and rates as another tool defines them: vllm, aiperf,\nguidellm, llmperf, mlperf, ollama, "
                  "llama-server, prony, all")
      ->type_name("TOOL");
  command.add_flag("--settings", options->settings, "Every effective setting and where it came from");
  command
      .add_option("--idle-to", options->idle_to, "Whose the idle part is: none, share, target (default: as recorded)")
      ->type_name("POLICY");
  add_request_share(command, options->request_share,
                    "How requests at once share: work, time, equal (default: as recorded)");
  command.add_option("--top", options->top, "Rows of single processes, where they were followed (default 10)")
      ->type_name("N");
  add_factor_options(command, options->energy, nullptr);
  return [options](const CommandWords&) { return show(*options); };
}

}  // namespace prony::app
