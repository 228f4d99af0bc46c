// Options of `prony llm` by which FLOP/s and bytes/s, and their share of the machine's peaks, are known: where the
// model's file is, and the peaks. They stand on the page `prony help engines`. Thread promise: one thread. Errors:
// usage; of a model's file that was named, those of reading it.
#pragma once

#include <string>
#include <vector>

#include "app/settings.hpp"
#include "base/result.hpp"
#include "model/manifest.hpp"

namespace prony::app {

struct UtilisationOptions {
  std::string model_file, peak_flops, peak_bandwidth;
  [[nodiscard]] bool no_peak() const noexcept { return peak_flops.empty() && peak_bandwidth.empty(); }
};
void add_utilisation_options(CLI::App& command, UtilisationOptions& options, Settings& settings);
[[nodiscard]] std::vector<std::string> utilisation_config_keys();
[[nodiscard]] std::string utilisation_help_text();

// What the model's files say, into `facts`, or why they say nothing. `known`: where they are if no option says it (a
// path, ollama:NAME; "": not known); what lies there need be no model that is known here.
[[nodiscard]] Result<void> take_model_facts(const UtilisationOptions& options, const std::string& known,
                                            std::vector<Fact>& facts);
[[nodiscard]] Result<void> take_peaks(const UtilisationOptions& options, std::vector<Fact>& facts);

}  // namespace prony::app
