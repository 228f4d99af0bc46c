// What memory the model of a study's run needs at least, told before anything runs, by the heads of the model's files
// alone: its weights, and the cache of the requests that are answered together. What only the engine or a server knows
// is said to be theirs. Thread promise: one thread.
#pragma once

#include <string>

#include "study/plan.hpp"

namespace prony::app {

// "1.10 GiB of weights + 24.0 MiB of cache at 4 096 tokens = 1.12 GiB", or why it cannot be told.
[[nodiscard]] std::string memory_needed(const study::Variant& variant);

}  // namespace prony::app
