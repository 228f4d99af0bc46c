// `prony proxy`: its row of the subcommands. Thread promise: one thread.
#pragma once

#include "app/subcommand.hpp"

namespace prony::app {

[[nodiscard]] std::function<int(const CommandWords&)> add_proxy(CLI::App& command);

}  // namespace prony::app
