// Perf events of the machine this runs on. Only live.cpp includes it. Thread promise: as Machine.
#pragma once

#include "machine/machine.hpp"

namespace prony {

[[nodiscard]] Result<std::unique_ptr<PerfGroup>> open_live_perf(std::span<const PerfEvent> events, std::int64_t pid,
                                                                int cpu, PerfReach reach);

}  // namespace prony
