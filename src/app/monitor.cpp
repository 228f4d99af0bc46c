// `prony monitor [targets] --sink KIND:WHERE…`
#include <CLI/CLI.hpp>
#include <memory>

#include "app/monitor_options.hpp"
#include "app/subcommand.hpp"
#include "sinks/stream.hpp"

namespace prony::app {

namespace {

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
  if (const auto sound = check_no_idle_part(record.targets); !sound) return failed(sound.error());
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
  SettingAdder add(command, options->settings);
  add.many("sink", options->plan.sinks, sink_help(), "KIND:WHERE");
  add.text("interval", record.interval, "Time between ticks, and frames of 100ms or more (default 1s)", "DURATION");
  add.text("metrics", options->plan.metrics,
           "Only these: cpu, memory, network, disk, power, gpu,\ntemperature, clock (default all)", "NAME,NAME");
  add_monitor_options(command, *options);
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
