// `prony study --ranks`: the Runs of all ranks of one job, each domain of each host metered once.
#pragma once

#include <string>
#include <vector>

namespace prony::app {

// → exit code.
[[nodiscard]] int add_up_ranks(const std::vector<std::string>& runs);

}  // namespace prony::app
