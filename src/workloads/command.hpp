// Workload `command`: any program, run as the user wrote it (prony run -- CMD). It is one request of nobody: it makes
// no spans of its own; the app writes the span of kind run. Signals: the app installs the handlers. Ctrl-C and
// Ctrl-\ reach the command from the terminal, as it is in our process group; the app must only ignore them itself, so
// that the command decides. What is sent to Prony alone (SIGTERM, SIGHUP, SIGUSR1, …) goes to the command by cancel().
// Thread promise: cancel() from any thread at any time, the rest from one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "workloads/workload.hpp"

namespace prony {

// `arguments`: the program and its arguments; what is wrong with them is said by spawn().
[[nodiscard]] std::unique_ptr<Workload> make_command_workload(std::vector<std::string> arguments);

}  // namespace prony
