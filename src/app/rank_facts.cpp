#include "app/rank_facts.hpp"

#include <array>
#include <cstdlib>
#include <string>

#include "base/text.hpp"

namespace prony::app {

namespace {

struct Launcher {
  const char *name, *global, *world, *local;
};
// Open MPI and torchrun may themselves run below Slurm: the nearest one counts.
constexpr std::array<Launcher, 3> launchers{
    {{"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK"},
     {"mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"},
     {"slurm", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"}}};

}  // namespace

std::vector<Fact> rank_facts() {
  for (const Launcher& launcher : launchers) {
    const char *global = std::getenv(launcher.global), *world = std::getenv(launcher.world);
    if (global == nullptr || world == nullptr || !parse_u64(global) || !parse_u64(world)) continue;
    std::vector<Fact> facts{{"rank.launcher", launcher.name, "environment"},
                            {"rank.global", global, "environment"},
                            {"rank.world", world, "environment"}};
    if (const char* local = std::getenv(launcher.local); local != nullptr && parse_u64(local))
      facts.push_back({"rank.local", local, "environment"});
    return facts;
  }
  return {};
}

}  // namespace prony::app
