// What the subcommands share: the options of everything that records, errors in words, the terminal's properties.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/energy_options.hpp"
#include "app/machine_choice.hpp"
#include "app/settings.hpp"
#include "app/target_options.hpp"
#include "base/result.hpp"
#include "model/time.hpp"

// CLI11 costs seconds to compile: only the files that add options include it.
namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace prony::app {

// Prony's own exit codes; CMD's own wins in `prony run`. `prony help exit-codes` prints the table.
namespace exit_code {
inline constexpr int ok = 0;
inline constexpr int failed_requests = 1;  // measured, but a request or the worker failed
inline constexpr int own_failure = 125;    // bad usage, cannot record, cannot read the Run, …
inline constexpr int not_executable = 126;
inline constexpr int not_found = 127;
}  // namespace exit_code

// "prony: what: where" and what to do, indented, on stderr.
void print_error(const Error& error);
[[nodiscard]] int failed(const Error& error);  // prints it; the exit code of Prony's own failures
void print_note(std::string_view text);
[[nodiscard]] std::string error_text(const Error& error);

struct Terminal {
  bool is_terminal = false;
  std::size_t width = 100;  // of a terminal, or COLUMNS, or 100
  bool colour = false;      // terminal, and neither NO_COLOR nor TERM=dumb
};
[[nodiscard]] Terminal terminal_of(int fd);

struct RecordOptions {
  std::string interval = "10ms";
  std::string out;
  bool force = false;
  std::string json;
  std::string csv;
  std::string sensors;
  bool every_channel = false;
  bool wall_estimate = false;
  std::vector<std::string> meters;  // "[NAME=]shelly://HOST": meters at the wall
  MachineChoice machine;
  std::string baseline;
  std::vector<std::string> tags;
  bool quiet = false;
  std::string config;
  bool die_with_prony = false;
  std::string tree = "automatic";
  std::string max_temp;        // "90C"; empty: not watched
  bool max_temp_stop = false;  // prony run: over it the command gets SIGTERM
  EnergyOptions energy;        // baselines kept, factors
  std::string budget;          // "0.5%" of a core; empty: none
  TargetOptions targets;       // prony run: whose cost is asked for, beside the command's
};
// Adds the options of everything that records to `command`, and watches them.
void add_record_options(CLI::App& command, RecordOptions& options, Settings& settings);
// The page of those that --help only names.
[[nodiscard]] std::string rare_options_text();
// Names of all options that a configuration file may set, of every recording subcommand.
[[nodiscard]] std::vector<std::string> config_keys();
// The file that --config, PRONY_CONFIG or $XDG_CONFIG_HOME/prony/config.toml names; empty: none.
[[nodiscard]] std::string config_file(const RecordOptions& options);

[[nodiscard]] Result<Duration> duration_setting(const std::string& text, std::string_view option, Duration least,
                                                Duration most);
// A word made safe as part of a file name: "org/model:tag" → "org-model-tag".
[[nodiscard]] std::string file_name_word(std::string_view text);

}  // namespace prony::app
