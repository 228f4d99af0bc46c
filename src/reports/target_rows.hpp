// Target rows: what a Summary tells of targets and single processes, gathered from the ledger and the Run's records.
// Pure; internal to reports.
#pragma once

#include "reports/summary.hpp"

namespace prony {

// Needs summary.energy, gauges, manifest and window; fills targets, split, processes, unseen.
void gather_targets(const Run& run, Summary& summary);

}  // namespace prony
