// Which machine a subcommand looks at: this one, other trees in the place of its /sys and /proc, or a simulated one.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "machine/machine.hpp"
#include "model/channel.hpp"
#include "model/manifest.hpp"
#include "model/time.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace prony::app {

struct MachineChoice {
  std::string sysfs = "/sys";
  std::string procfs = "/proc";
  std::string simulate;  // "laptop,fault=eio"; "": none
};
// For subcommands that only look (no configuration file): adds the options.
void add_machine_options(CLI::App& command, MachineChoice& choice);
// --simulate alone; "list" prints the names and ends the program well.
CLI::Option* add_simulate_option(CLI::App& command, MachineChoice& choice);
// Errors: usage (no such directory, no such simulated machine, both at once).
[[nodiscard]] Result<std::unique_ptr<Machine>> open_machine(const MachineChoice& choice);

// "laptop"; "" for any machine that is not simulated.
[[nodiscard]] std::string simulated_name(const Machine& machine);
// "simulated laptop: no joule here is real"; "" likewise.
[[nodiscard]] std::string simulation_note(const Machine& machine);
// What the Run keeps of a simulated machine: its name, its fault and its curves. Of any other: nothing.
void describe_simulation(const Machine& machine, Manifest& manifest);
// The true joules of each channel over `window`: subject "simulated", name "true_j.<channel>". Of others: nothing.
[[nodiscard]] std::vector<Total> true_joules(const Machine& machine, std::span<const Channel> channels,
                                             Interval window);

}  // namespace prony::app
