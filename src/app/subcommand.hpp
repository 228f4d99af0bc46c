// Subcommand: one file each; a row {name, help, add}. `add` describes its options to CLI11 and returns what to run once
// the line is parsed. Rows are listed in the order in which `prony --help` shows them.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

// CLI11 costs seconds to compile: only the files that add options include it.
namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace prony::app {

// What stands after "--": the command to measure, untouched by option parsing.
using CommandWords = std::vector<std::string>;

struct Subcommand {
  std::string_view name;
  std::string_view help;
  std::string_view examples;  // two lines, shown at the end of --help
  std::function<int(const CommandWords&)> (*add)(CLI::App&);
};

[[nodiscard]] std::span<const Subcommand> subcommands();

// What to say of an option or word that is not known, with the nearest one.
[[nodiscard]] Error unknown_option(const CLI::App& command, const std::string& word);

// One per file.
[[nodiscard]] std::function<int(const CommandWords&)> add_run(CLI::App& command);
[[nodiscard]] std::function<int(const CommandWords&)> add_llm(CLI::App& command);
[[nodiscard]] std::function<int(const CommandWords&)> add_sensors(CLI::App& command);
[[nodiscard]] std::function<int(const CommandWords&)> add_monitor(CLI::App& command);
[[nodiscard]] std::function<int(const CommandWords&)> add_collect(CLI::App& command);
[[nodiscard]] std::function<int(const CommandWords&)> add_doctor(CLI::App& command);
[[nodiscard]] std::function<int(const CommandWords&)> add_setup(CLI::App& command);
[[nodiscard]] std::function<int(const CommandWords&)> add_probe(CLI::App& command);
[[nodiscard]] std::function<int(const CommandWords&)> add_baseline(CLI::App& command);
[[nodiscard]] std::function<int(const CommandWords&)> add_calibrate(CLI::App& command);
[[nodiscard]] std::function<int(const CommandWords&)> add_attach(CLI::App& command);
[[nodiscard]] std::function<int(const CommandWords&)> add_show(CLI::App& command);
[[nodiscard]] std::function<int(const CommandWords&)> add_export(CLI::App& command);
[[nodiscard]] std::function<int(const CommandWords&)> add_quality(CLI::App& command);
[[nodiscard]] std::function<int(const CommandWords&)> add_synth(CLI::App& command);
[[nodiscard]] std::function<int(const CommandWords&)> add_inspect(CLI::App& command);
[[nodiscard]] std::function<int(const CommandWords&)> add_layers(CLI::App& command);
[[nodiscard]] std::function<int(const CommandWords&)> add_predict(CLI::App& command);
[[nodiscard]] std::function<int(const CommandWords&)> add_help(CLI::App& command);

// Whether what a parsed command line asks for can be begun, as far as that can be told without starting or looking for
// anything: what contradicts itself, what is none of the words that there are. It may be asked for one line after
// another, each parsed by `command`. Errors: as the subcommand tells them; absent where a file is not there (yet).
using OptionCheck = std::function<Result<void>(const CommandWords&)>;
[[nodiscard]] OptionCheck add_run_check(CLI::App& command);
[[nodiscard]] OptionCheck add_llm_check(CLI::App& command);

}  // namespace prony::app
