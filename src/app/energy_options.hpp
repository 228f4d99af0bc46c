// Options of what is done with joules (baselines, factors), which stand on a page of their own: `prony help energy`.
#pragma once

#include <string>
#include <vector>

#include "app/settings.hpp"
#include "base/result.hpp"
#include "model/factors.hpp"

namespace prony::app {

struct EnergyOptions {
  std::string loaded_baseline;         // "3s": prony llm measures the loaded model at rest this long; empty: not
  std::string request_share = "work";  // prony llm: how requests that run at once share joules
  std::string carbon, pue, tariff;     // "380 where it is from"; empty: not given, and nothing is told
};
// Factors alone, as `prony show` takes them too.
void add_factor_options(CLI::App& command, EnergyOptions& options, Settings* settings);
// How requests share, as `prony show` takes it too: one of its words, or none where nothing was said.
CLI::Option* add_request_share(CLI::App& command, std::string& word, const std::string& help);
// Adds all of them to a recording subcommand, not shown in its --help, whose end names them.
void add_energy_options(CLI::App& command, EnergyOptions& options, Settings& settings);
// Errors: usage, with the form that a factor must have.
[[nodiscard]] Result<Factors> factors_of(const EnergyOptions& options);

[[nodiscard]] std::string energy_options_text();
[[nodiscard]] std::vector<std::string> energy_config_keys();

}  // namespace prony::app
