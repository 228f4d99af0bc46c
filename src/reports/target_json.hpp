// Target JSON: targets and single processes in the words of docs/targets.md. Pure; internal to reports.
#pragma once

#include <nlohmann/json.hpp>

#include "reports/summary.hpp"

namespace prony {

// Adds "cpu" (who used its time, the co-tenants' share), "idle_to", "targets", "split" and, where processes were
// followed one by one, "processes" and "unseen"; only the first where the Run has no targets.
void put_targets(nlohmann::ordered_json& out, const Summary& summary);

}  // namespace prony
