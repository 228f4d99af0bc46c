// `prony monitor [targets] --sink KIND:WHERE…`
#include <CLI/CLI.hpp>
#include <memory>

#include "app/meter_options.hpp"
#include "app/monitor_run.hpp"
#include "app/subcommand.hpp"
#include "sinks/stream.hpp"

namespace prony::app {

namespace {

struct MonitorOptions {
  MonitorPlan plan;
  Settings settings;
  TargetFlags targets;
};

int run_monitor(MonitorOptions& options) {
  RecordOptions& record = options.plan.options;
  if (auto resolved = options.settings.resolve(config_file(record), config_keys()); !resolved)
    return failed(resolved.error());
  if (options.plan.sinks.empty())
    return failed({ErrorCode::usage,
                   "nobody is to be told: no --sink",
                   {},
                   "Name one or more:  prony monitor --sink csv:out.csv --sink run:day.prony\n"
                   "On this terminal:  prony monitor --metrics power --sink jsonl:-"});
  if (record.targets.idle_to != "none")
    return failed({ErrorCode::usage, "a monitor measures no baseline, so there is no idle part", "--idle-to",
                   "Leave it out; `prony run --baseline 3s` has one."});
  if (const auto top = top_setting(record.targets.top); !top) return failed(top.error());
  options.plan.facts = options.settings.facts();
  return monitor(std::move(options.plan));
}

std::string sink_help() {
  constexpr std::size_t width = 68;  // what a screen leaves beside the options
  std::string help = "Where to, may be repeated:", line;
  for (const StreamRow& row : stream_catalogue()) {
    if (line.empty() || line.size() + 1 + row.form.size() > width) {
      help += line + "\n";
      line = row.form;
    } else {
      line += " " + std::string(row.form);
    }
  }
  return help + line;
}

}  // namespace

std::function<int(const CommandWords&)> add_monitor(CLI::App& command) {
  auto options = std::make_shared<MonitorOptions>();
  RecordOptions& record = options->plan.options;
  record.interval = "1s";
  const auto text = [&](const std::string& name, std::string& value, const std::string& help, const char* type) {
    const std::string default_text = value;
    CLI::Option* option = command.add_option("--" + name, value, help)->type_name(type);
    options->settings.watch(name, option, default_text);
    return option;
  };
  const auto many = [&](const std::string& name, std::vector<std::string>& values, const std::string& help,
                        const char* type) {
    CLI::Option* option = command.add_option("--" + name, values, help)
                              ->type_name(type)
                              ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
                              ->allow_extra_args(false);
    options->settings.watch(name, option, "");
  };
  many("sink", options->plan.sinks, sink_help(), "KIND:WHERE");
  text("interval", record.interval, "Time between ticks, and frames of 100ms or more (default 1s)", "DURATION");
  text("metrics", options->plan.metrics,
       "Only these: cpu, memory, network, disk, power, gpu,\ntemperature, clock (default all)", "NAME,NAME");
  many("engine-metrics", options->plan.engines, "Tokens as a llama-server or vLLM counts them itself (/metrics)",
       "URL");
  text("sensors", record.sensors, "Only these sensors (see `prony sensors`)", "NAME,NAME");
  options->settings.watch("meter", add_meter_option(command, record.meters), "");
  options->settings.watch("simulate", add_simulate_option(command, record.machine), "");
  many("tag", record.tags, "Keep k=v with the Run; may be repeated", "K=V");
  options->settings.watch("quiet", command.add_flag("--quiet", record.quiet, "Say only what went wrong"), "false");
  text("config", record.config, "Options as lines of TOML", "FILE")->group("");
  text("sysfs", record.machine.sysfs, "Read this tree instead of /sys", "DIR")->group("");
  text("procfs", record.machine.procfs, "Read this tree instead of /proc", "DIR")->group("");
  options->targets.add(command, record.targets, options->settings);
  return [options, &command](const CommandWords& after_dashes) {
    if (!after_dashes.empty())
      return failed({ErrorCode::usage, "a monitor starts no command", after_dashes.front(),
                     "`prony run -- CMD` measures one; a monitor names those that run: --pid, --comm, --port, …"});
    if (auto taken = options->targets.take(command, options->plan.options.targets); !taken)
      return failed(taken.error());
    return run_monitor(*options);
  };
}

}  // namespace prony::app
