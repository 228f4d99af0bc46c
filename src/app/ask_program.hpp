// What a small program of ours writes to its standard output, up to 64 KiB. Thread promise: one thread. Errors: it
// cannot be started; unavailable, with how long was waited.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace prony::app {

// Runs `command` with nothing on its standard input; one that does not end in time is killed.
[[nodiscard]] Result<std::string> ask_program(const std::vector<std::string>& command, std::chrono::seconds patience);

}  // namespace prony::app
