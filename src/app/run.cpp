// `prony run [options] -- CMD…`
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>

#include "app/record.hpp"
#include "app/record_request.hpp"
#include "app/subcommand.hpp"
#include "base/spawn.hpp"
#include "base/text.hpp"
#include "workloads/command.hpp"

namespace prony::app {

namespace {

struct RunOptions {
  RecordOptions record;
  Settings settings;
  TargetFlags targets;
  bool until_exit = false;
};

// No command and nobody else to watch, or an option that only one of the two ways to measure has.
Result<void> check_who(const RunOptions& options, const CommandWords& words) {
  const TargetOptions& targets = options.record.targets;
  if (words.empty() && targets.choices.empty())
    return fail(ErrorCode::usage, "no command to measure", {},
                "Write it after two dashes:  prony run -- python3 train.py\n"
                "Or say whom to watch:  prony run --port 8080 --for 30s  (`prony help targets`)");
  if (!words.empty() && !targets.length.empty())
    return fail(ErrorCode::usage, "the end of the command ends the recording", "--for",
                "Leave it out, or let the command end:  prony run -- timeout 30s CMD");
  const auto by_pid = [](const TargetChoice& choice) { return choice.kind == SelectorKind::pid; };
  if (options.until_exit && (!words.empty() || std::ranges::none_of(targets.choices, by_pid)))
    return fail(ErrorCode::usage, "it waits for the end of processes that --pid names", "--until-exit",
                "For example:  prony run --pid 1234 --until-exit");
  if (words.empty() && options.record.max_temp_stop)
    return fail(ErrorCode::usage, "there is no command to stop", "--max-temp-stop", "Leave it out.");
  if (options.record.max_temp_stop && options.record.max_temp.empty())
    return fail(ErrorCode::usage, "there is no temperature to stop at", "--max-temp-stop", "Name one:  --max-temp 90C");
  if (const auto policy = idle_to_setting(targets.idle_to); !policy) return Unexpected<Error>(policy.error());
  if (const auto top = top_setting(targets.top); !top) return Unexpected<Error>(top.error());
  return {};
}

int run_command(RunOptions& options, CommandWords words) {
  if (auto resolved = options.settings.resolve(config_file(options.record), config_keys()); !resolved) {
    print_error(resolved.error());
    return exit_code::own_failure;
  }
  if (auto sound = check_who(options, words); !sound) {
    print_error(sound.error());
    return exit_code::own_failure;
  }
  if (options.record.force &&
      !words.empty()) {  // before the old Run is taken away: a slip of the finger must not cost it
    SpawnOptions command;
    command.arguments = words;
    if (auto found = find_program(command); !found) {
      print_error(found.error());
      return found.error().code == ErrorCode::absent ? exit_code::not_found : exit_code::not_executable;
    }
  }
  RecordPlan plan;
  plan.kind = words.empty() ? "watch" : "run";
  plan.name = words.empty() ? options.record.targets.choices.front().name
                            : std::filesystem::path(words.front()).filename().string();
  plan.options = options.record;
  plan.until_exit = options.until_exit;
  plan.facts = options.settings.facts();
  if (!words.empty()) {
    std::string line;
    for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
    plan.facts.push_back({"run.command", line, "flag"});
    plan.workload = make_command_workload(std::move(words));
  }
  return record(std::move(plan)).exit_code;
}

std::shared_ptr<RunOptions> add_run_options(CLI::App& command) {
  auto options = std::make_shared<RunOptions>();
  add_record_options(command, options->record, options->settings);
  options->settings.watch("max-temp-stop",
                          command.add_flag("--max-temp-stop", options->record.max_temp_stop,
                                           "Over --max-temp send the command SIGTERM instead of warning alone"),
                          "false");
  command.add_flag("--until-exit", options->until_exit)->group("");  // `prony help targets`
  options->targets.add(command, options->record.targets, options->settings);
  command.prefix_command();
  return options;
}

Result<void> check_run(RunOptions& options, CLI::App& command, const CommandWords& words) {
  if (auto taken = options.targets.take(command, options.record.targets); !taken) return taken;
  if (auto resolved = options.settings.resolve(config_file(options.record), config_keys()); !resolved) return resolved;
  if (auto sound = check_who(options, words); !sound) return sound;
  return check_record_options(options.record);
}

}  // namespace

std::function<int(const CommandWords&)> add_run(CLI::App& command) {
  const auto options = add_run_options(command);
  return [options, &command](const CommandWords& after_dashes) {
    // Without "--" the first word that is no option begins the command.
    CommandWords words = command.remaining(false);
    if (!words.empty() && words.front().starts_with('-')) {
      print_error(unknown_option(command, words.front()));
      return exit_code::own_failure;
    }
    words.insert(words.end(), after_dashes.begin(), after_dashes.end());
    if (auto taken = options->targets.take(command, options->record.targets); !taken) {
      print_error(taken.error());
      return exit_code::own_failure;
    }
    return run_command(*options, std::move(words));
  };
}

OptionCheck add_run_check(CLI::App& command) {
  const auto options = add_run_options(command);
  return [options, &command, untouched = *options](const CommandWords& words) -> Result<void> {
    auto sound = check_run(*options, command, words);
    *options = untouched;
    return sound;
  };
}

}  // namespace prony::app
