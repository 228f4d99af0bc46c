// `prony layers`: what the layers of a network cost.
#include <CLI/CLI.hpp>

#include "app/common.hpp"
#include "app/layers_import.hpp"
#include "app/subcommand.hpp"

namespace prony::app {

std::function<int(const CommandWords&)> add_layers(CLI::App& command) {
  auto files = add_layer_files(command);
  command.require_subcommand(1);
  return [files](const CommandWords&) { return files().value_or(exit_code::own_failure); };
}

}  // namespace prony::app
