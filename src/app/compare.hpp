// The subcommand that lays Runs side by side; see subcommand.hpp.
#pragma once

#include <functional>

#include "app/subcommand.hpp"

namespace prony::app {

[[nodiscard]] std::function<int(const CommandWords&)> add_compare(CLI::App& command);

}  // namespace prony::app
