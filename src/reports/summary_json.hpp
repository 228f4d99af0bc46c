// to_json(): the Summary as JSON, schema "prony.summary/1". Names carry units; every number is finite; what is absent
// is left out and named under "unavailable" with its reason. Pure; any thread.
#pragma once

#include <nlohmann/json.hpp>

#include "reports/summary.hpp"

namespace prony {

[[nodiscard]] nlohmann::ordered_json to_json(const Summary& summary);

}  // namespace prony
