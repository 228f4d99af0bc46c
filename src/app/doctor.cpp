// `prony doctor [--json]`: one screen: what can be measured here and how well, what is missing and what mends it.
#include "doctor/doctor.hpp"

#include <unistd.h>
#include <CLI/CLI.hpp>

#include <chrono>
#include <memory>
#include <thread>

#include "app/common.hpp"
#include "app/host_facts.hpp"
#include "app/kept.hpp"
#include "app/machine_choice.hpp"
#include "app/subcommand.hpp"
#include "app/write_file.hpp"
#include "base/spawn.hpp"

namespace prony::app {

namespace {

struct DoctorOptions {
  bool json = false;
  bool every_channel = false;
  MachineChoice machine;
};

int doctor_command(const DoctorOptions& options) {
  (void)raise_open_file_limit();
  const auto machine = open_machine(options.machine);
  if (!machine) {
    print_error(machine.error());
    return exit_code::own_failure;
  }
  const doctor::HostFacts host = gather_host_facts("runs");
  doctor::Report report = doctor::examine(
      **machine, host,
      SensorOptions{.every_channel = options.every_channel, .calibrated = kept_calibration(**machine, options.machine)},
      [](Duration length) { std::this_thread::sleep_for(std::chrono::nanoseconds(length.ns)); });
  if (const std::string note = simulation_note(**machine); !note.empty()) report.machine = note;
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  const std::string text =
      options.json ? doctor::to_json(report) : doctor::to_text(report, terminal.width, terminal.colour);
  if (auto written = write_file("-", text); !written) {
    print_error(written.error());
    return exit_code::own_failure;
  }
  return doctor::exit_code_of(report);
}

}  // namespace

std::function<int(const CommandWords&)> add_doctor(CLI::App& command) {
  auto options = std::make_shared<DoctorOptions>();
  command.add_flag("--json", options->json, "As JSON; the names carry units");
  command.add_flag("--every-channel", options->every_channel, "Also what they leave out: single CPUs, rails' volts …");
  add_machine_options(command, options->machine);
  return [options](const CommandWords&) { return doctor_command(*options); };
}

}  // namespace prony::app
