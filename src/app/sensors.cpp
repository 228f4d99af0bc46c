// `prony sensors [--json]`: every catalogue row, available or why not and how to mend it.
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <filesystem>
#include <memory>

#include "app/common.hpp"
#include "app/subcommand.hpp"
#include "app/write_file.hpp"
#include "base/text.hpp"
#include "machine/machine.hpp"
#include "sensors/report.hpp"

namespace prony::app {

namespace {

struct SensorsOptions {
  bool json = false;
  std::string sysfs = "/sys";
  std::string procfs = "/proc";
};

int sensors(const SensorsOptions& options) {
  for (const auto& [name, directory] : {std::pair{"--sysfs", options.sysfs}, std::pair{"--procfs", options.procfs}}) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(directory, ignored)) {
      print_error({ErrorCode::usage, "'" + printable(directory, 200) + "' is not a directory", name, {}});
      return exit_code::own_failure;
    }
  }
  const auto machine = make_live_machine({.sysfs = options.sysfs, .procfs = options.procfs});
  const auto reports = probe_sensors(*machine, SensorOptions{});
  const std::string text =
      options.json ? sensors_json(reports) : sensors_text(reports, terminal_of(STDOUT_FILENO).width);
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
  command.add_option("--sysfs", options->sysfs, "Read this tree instead of /sys")->type_name("DIR");
  command.add_option("--procfs", options->procfs, "Read this tree instead of /proc")->type_name("DIR");
  return [options](const CommandWords&) { return sensors(*options); };
}

}  // namespace prony::app
