#include "workloads/catalog.hpp"

#include <array>

namespace prony {

namespace {

constexpr std::array rows{
    WorkloadRow{"command", "any program with its whole process tree: prony run -- CMD"},
    WorkloadRow{"worker", "an engine that speaks the worker protocol, prompt by prompt: prony llm"},
};

}  // namespace

std::span<const WorkloadRow> workload_catalogue() noexcept { return rows; }

}  // namespace prony
