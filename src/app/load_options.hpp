// Load: the options of how requests arrive at an engine, the plan that they make, and the help page of them. Thread
// promise: one thread. Errors: usage, with the option and the form that it must have; of a trace, file and line.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/settings.hpp"
#include "model/manifest.hpp"
#include "workloads/worker.hpp"

namespace prony::app {

struct LoadOptions {
  std::optional<std::int64_t> streams, requests;
  std::string think, rate, arrivals, ramp, bursts, trace, time_scale, length, slo, sweep, find_knee, scenario;
  bool all_at_once = false;
};

// Not in --help, which has to fit a screen: they stand on the page `prony help load`.
void add_load_options(CLI::App& command, LoadOptions& options, Settings& settings);
[[nodiscard]] std::string load_help_text();
[[nodiscard]] std::vector<std::string> load_config_keys();

// Whether any of them asks for more than one prompt after another.
[[nodiscard]] bool asks_for_load(const LoadOptions& options);
// Puts the plan into `worker`, whose prompts are there; a trace brings its own. `facts` get what the Run has to know of
// it, `notes` what the user has.
[[nodiscard]] Result<void> plan_load(const LoadOptions& options, WorkerOptions& worker, std::vector<Fact>& facts,
                                     std::vector<std::string>& notes);

}  // namespace prony::app
