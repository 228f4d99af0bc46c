// The load's part of the JSON summary. Pure.
#pragma once

#include <nlohmann/json.hpp>

#include "reports/summary.hpp"

namespace prony {

// Null: the Run is of no load.
[[nodiscard]] nlohmann::ordered_json load_json(const Summary& summary);

}  // namespace prony
