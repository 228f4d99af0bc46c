// The engine `transformers`: a worker in Python (engines/transformers) that an interpreter with PyTorch runs. Its
// options, its command line, and whether that interpreter has what it takes, asked before anything is recorded. Thread
// promise: one thread. Errors: usage; absent (the worker, the interpreter, a package), each with what to do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/settings.hpp"
#include "base/result.hpp"

namespace prony::app {

struct TransformersOptions {
  std::string python;  // empty: PRONY_PYTHON, else python3
  std::string dtype = "auto", quantisation = "none", device = "auto", attention = "auto";
  std::int32_t ranks = 1;
  bool random_weights = false;
};

// Not in --help, which has to fit a screen: they stand on the page `prony help engines`.
void add_transformers_options(CLI::App& command, TransformersOptions& options, Settings& settings);
[[nodiscard]] std::string transformers_help_text();
[[nodiscard]] std::vector<std::string> transformers_config_keys();
// The first of them that was asked for, "--dtype": of no other engine. Empty: none.
[[nodiscard]] std::string asked_of_transformers(const TransformersOptions& options);
// Whether each of them is one of the words that there are.
[[nodiscard]] Result<void> check_transformers(const TransformersOptions& options);
// The worker's command line. Starts the interpreter once, which says what it lacks; waits for at most 40 s.
[[nodiscard]] Result<std::vector<std::string>> transformers_command(const TransformersOptions& options);

}  // namespace prony::app
