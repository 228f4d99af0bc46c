#include "app/monitor_options.hpp"

#include <CLI/CLI.hpp>

#include "app/machine_choice.hpp"
#include "app/meter_options.hpp"

namespace prony::app {

CLI::Option* SettingAdder::text(const std::string& name, std::string& value, const std::string& help,
                                const char* type) {
  const std::string default_text = value;
  CLI::Option* option = command_.add_option("--" + name, value, help)->type_name(type);
  settings_.watch(name, option, default_text);
  return option;
}

void SettingAdder::many(const std::string& name, std::vector<std::string>& values, const std::string& help,
                        const char* type) {
  CLI::Option* option = command_.add_option("--" + name, values, help)
                            ->type_name(type)
                            ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
                            ->allow_extra_args(false);
  settings_.watch(name, option, "");
}

void add_monitor_options(CLI::App& command, MonitorOptions& options) {
  RecordOptions& record = options.plan.options;
  Settings& settings = options.settings;
  SettingAdder add(command, settings);
  add.many("engine-metrics", options.plan.engines, "Tokens as a llama-server or vLLM counts them itself (/metrics)",
           "URL");
  add.text("sensors", record.sensors, "Only these sensors (see `prony sensors`)", "NAME,NAME");
  settings.watch("meter", add_meter_option(command, record.meters), "");
  settings.watch("simulate", add_simulate_option(command, record.machine), "");
  add.many("tag", record.tags, "Keep k=v with the Run; may be repeated", "K=V");
  settings.watch("quiet", command.add_flag("--quiet", record.quiet, "Say only what went wrong"), "false");
  add.text("config", record.config, "Options as lines of TOML", "FILE")->group("");
  add.text("sysfs", record.machine.sysfs, "Read this tree instead of /sys", "DIR")->group("");
  add.text("procfs", record.machine.procfs, "Read this tree instead of /proc", "DIR")->group("");
  options.targets.add(command, record.targets, settings);
}

Result<void> check_no_idle_part(const TargetOptions& targets) {
  if (targets.idle_to == "none") return {};
  return fail(ErrorCode::usage, "a monitor measures no baseline, so there is no idle part", "--idle-to",
              "Leave it out; `prony run --baseline 3s` has one.");
}

}  // namespace prony::app
