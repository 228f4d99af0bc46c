// Which machine a subcommand looks at: this one, or other trees in the place of its /sys and /proc.
#pragma once

#include <memory>
#include <string>

#include "base/result.hpp"
#include "machine/machine.hpp"

namespace CLI {
class App;
}

namespace prony::app {

struct MachineChoice {
  std::string sysfs = "/sys";
  std::string procfs = "/proc";
};
// For subcommands that only look (no configuration file): adds the options.
void add_machine_options(CLI::App& command, MachineChoice& choice);
// Errors: usage (no such directory).
[[nodiscard]] Result<std::unique_ptr<Machine>> open_machine(const MachineChoice& choice);

}  // namespace prony::app
