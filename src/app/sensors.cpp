// `prony sensors [--json]`: every catalogue row, available or why not and how to mend it.
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <memory>
#include <nlohmann/json.hpp>

#include "app/common.hpp"
#include "app/kept.hpp"
#include "app/machine_choice.hpp"
#include "app/meter_options.hpp"
#include "app/passports.hpp"
#include "app/subcommand.hpp"
#include "app/write_file.hpp"
#include "base/spawn.hpp"
#include "sensors/report.hpp"

namespace prony::app {

namespace {

struct SensorsOptions {
  bool json = false;
  bool every_channel = false;
  bool wall_estimate = false;
  std::vector<std::string> meters;
  MachineChoice machine;
};

std::string with_note(const std::string& listing, const std::string& simulated) {
  if (simulated.empty()) return listing;
  auto document = nlohmann::json::parse(listing);
  document["simulated"] = {{"machine", simulated}, {"note", "no joule here is real"}};
  return document.dump(2) + "\n";
}

int sensors(const SensorsOptions& options) {
  (void)raise_open_file_limit();
  const auto machine = open_machine(options.machine);
  if (!machine) {
    print_error(machine.error());
    return exit_code::own_failure;
  }
  if (auto named = name_meters(**machine, options.meters); !named) {
    print_error(named.error());
    return exit_code::own_failure;
  }
  const auto reports =
      probe_sensors(**machine, SensorOptions{.every_channel = options.every_channel,
                                             .wall_estimate = options.wall_estimate,
                                             .calibrated = kept_calibration(**machine, options.machine)});
  const MachinePassport learned = open_passports(**machine, options.machine).known;
  const std::string note = simulation_note(**machine);
  const std::string text = options.json ? with_note(sensors_json(reports, learned), simulated_name(**machine))
                                        : (note.empty() ? note : " " + note + "\n") +
                                              sensors_text(reports, terminal_of(STDOUT_FILENO).width, learned);
  if (auto written = write_file("-", text); !written) {
    print_error(written.error());
    return exit_code::own_failure;
  }
  return exit_code::ok;
}

}  // namespace

std::function<int(const CommandWords&)> add_sensors(CLI::App& command) {
  auto options = std::make_shared<SensorsOptions>();
  command.add_flag("--json", options->json, "As JSON; the names carry units");
  command.add_flag("--every-channel", options->every_channel, "Also what they leave out: single CPUs, rails' volts …");
  command.add_flag("--wall-estimate", options->wall_estimate, "Also what a published line makes of a board's rails");
  add_meter_option(command, options->meters);
  add_machine_options(command, options->machine);
  return [options](const CommandWords&) { return sensors(*options); };
}

}  // namespace prony::app
