// --meter: the meters at the wall that the user names, of the subcommands that read sensors. Thread promise: one
// thread. Errors: usage (what is no meter, two of one name, an option twice), denied (a file of passwords that others
// may read), and those of reading it; none tells what is secret.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "machine/machine.hpp"
#include "machine/meter.hpp"
#include "model/manifest.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace prony::app {

CLI::Option* add_meter_option(CLI::App& command, std::vector<std::string>& texts);
// The meters, with who to log in as out of the files that they name.
[[nodiscard]] Result<std::vector<Meter>> meters_of(const std::vector<std::string>& texts);
// Names them to the machine; usage where it has no wall.
[[nodiscard]] Result<void> name_meters(Machine& machine, const std::vector<std::string>& texts);
// Says on stderr which of them cannot be read: they were asked for by name.
void tell_missing_meters(Machine& machine, const std::vector<Unavailable>& unavailable);
// `prony help meters`
[[nodiscard]] std::string meter_options_text();

}  // namespace prony::app
