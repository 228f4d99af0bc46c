// Which rank of a job this process is, as its launcher says it in the environment: torchrun, Slurm, Open MPI.
#pragma once

#include <vector>

#include "model/manifest.hpp"

namespace prony::app {

// rank.global, rank.world, rank.local, rank.launcher; empty: no launcher said anything.
[[nodiscard]] std::vector<Fact> rank_facts();

}  // namespace prony::app
