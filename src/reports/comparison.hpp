// Two sensors side by side, and what baselines say beyond the table: lines of text and parts of the JSON. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "reports/summary.hpp"

namespace prony {

// "package-0 ÷ psys 79.9 % (79…81)": the first few that are not a matter of course.
[[nodiscard]] std::vector<std::string> comparison_words(const Summary& summary);
[[nodiscard]] nlohmann::ordered_json comparisons_json(const Summary& summary);

// Joules of all requests together, gross and net of what the machine drew without them.
struct NetOfIdle {
  Estimate gross;
  std::optional<Estimate> net_of_idle, net_of_loaded_idle;
};
// Over the headline's domains; absent without requests, where one of them cannot tell, or without a baseline.
[[nodiscard]] std::optional<NetOfIdle> net_of_idle(const Summary& summary);
// The baseline: kept or measured, how old, whether others were quiet, what is left above it.
[[nodiscard]] std::vector<std::string> baseline_words(const Summary& summary);
// null where there is no baseline.
[[nodiscard]] nlohmann::ordered_json baseline_json(const Summary& summary);

}  // namespace prony
