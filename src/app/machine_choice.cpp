#include "app/machine_choice.hpp"

#include <CLI/CLI.hpp>

#include <filesystem>

#include "base/text.hpp"

namespace prony::app {

void add_machine_options(CLI::App& command, MachineChoice& choice) {
  command.add_option("--sysfs", choice.sysfs, "Read this tree instead of /sys")->type_name("DIR");
  command.add_option("--procfs", choice.procfs, "Read this tree instead of /proc")->type_name("DIR");
}

Result<std::unique_ptr<Machine>> open_machine(const MachineChoice& choice) {
  for (const auto& [option, directory] : {std::pair{"--sysfs", choice.sysfs}, std::pair{"--procfs", choice.procfs}}) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(directory, ignored))
      return fail(ErrorCode::usage, "'" + printable(directory, 200) + "' is not a directory", option);
  }
  return make_live_machine({.sysfs = choice.sysfs, .procfs = choice.procfs});
}

}  // namespace prony::app
