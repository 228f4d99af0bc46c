// Request rows: what a Summary tells of requests and phases, gathered from the ledger and the Run's spans. Pure;
// internal to reports.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "reports/summary.hpp"

namespace prony {

// What requests lack that are too many to have reasons of their own: name, reason and remedy, and of how many.
using AbsentCounts = std::map<std::array<std::string, 3>, std::size_t>;
using SpanGauges = std::map<std::uint64_t, std::vector<SpanGaugeRow>>;  // by span

// Needs summary.energy, manifest and window; fills requests and phases. `joules` are the ledger's of spans.
[[nodiscard]] AbsentCounts gather_requests(const Run& run, std::vector<SpanEnergy> joules, SpanGauges gauges,
                                           Summary& summary);
// Into summary.unavailable; of many requests one line for each thing that many of them lack.
void gather_absent_of_requests(Summary& summary, AbsentCounts counts);

}  // namespace prony
