// What a Run of a network's layers says: time end to end and per layer, energy per frame where the sensors can tell.
// Everything is from the Run: times from its fact "layers.times", energy from the charges of its series of runs. The
// text, the CSV and the JSON are made from one object and cannot disagree. Thread promise: pure. Errors: malformed, a
// Run that is none of layers. Units are in the names of the fields.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.hpp"
#include "reports/summary.hpp"

namespace prony {

inline constexpr const char* layer_times_fact = "layers.times";
inline constexpr const char* layer_runs_phase =
    "runs";  // the series without a profiler; of a part with "-" and its name

[[nodiscard]] Result<nlohmann::ordered_json> network_report(const Summary& summary);
[[nodiscard]] std::string network_text(const nlohmann::ordered_json& report, std::size_t width, bool colour);
[[nodiscard]] std::string network_csv(const nlohmann::ordered_json& report);

}  // namespace prony
