// Every workload there is, in every build, in the order in which they are shown. The makers differ in what they need
// (a command line, an engine with its settings), so a row names a workload and its header has the maker.
#pragma once

#include <span>
#include <string_view>

namespace prony {

struct WorkloadRow {
  std::string_view name;  // "command"
  std::string_view help;  // one line: what it measures
};

[[nodiscard]] std::span<const WorkloadRow> workload_catalogue() noexcept;

}  // namespace prony
