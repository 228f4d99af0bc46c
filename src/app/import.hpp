// The subcommand that makes Runs of other tools' results; see subcommand.hpp.
#pragma once

#include <functional>

#include "app/subcommand.hpp"

namespace prony::app {

[[nodiscard]] std::function<int(const CommandWords&)> add_import(CLI::App& command);

}  // namespace prony::app
