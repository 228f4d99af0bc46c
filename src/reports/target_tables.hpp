// Target tables: "targets" (a row a target and party, that add up to gross) and "processes" (a row a process that was
// followed by itself) for sinks. Internal to reports. Thread promise: any thread.
#pragma once

#include <memory>

#include "model/table.hpp"
#include "reports/summary.hpp"

namespace prony {

[[nodiscard]] std::unique_ptr<Table> targets_table(const Summary& summary);
[[nodiscard]] std::unique_ptr<Table> processes_table(const Summary& summary);

}  // namespace prony
