// What loops of layers tell, as JSON, and from that as text and CSV, which so cannot disagree. Joules are of one run of
// a layer, above idle unless the name says gross; each figure has its method, its origin and its kind of interval. Σ
// layers
// + idle + unattributed = measured, for each method. Pure; any thread.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

#include "app/layers_loops.hpp"

namespace prony::app {

[[nodiscard]] nlohmann::ordered_json isolation_report(const LoopPlan& plan, const LoopResults& results);
[[nodiscard]] std::string isolation_text(const nlohmann::ordered_json& report, std::size_t width, bool colour);
[[nodiscard]] std::string isolation_csv(const nlohmann::ordered_json& report);

}  // namespace prony::app
