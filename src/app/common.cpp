#include "app/common.hpp"

#include <sys/ioctl.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "app/http_engine.hpp"
#include "app/load_options.hpp"
#include "app/meter_options.hpp"
#include "app/prompt_options.hpp"
#include "app/transformers_engine.hpp"
#include "app/utilisation_options.hpp"
#include "base/text.hpp"

namespace prony::app {

std::string error_text(const Error& error) {
  std::string text = "prony: " + error.what;
  if (!error.where.empty()) text += ": " + printable(error.where, 400);
  text += '\n';
  for_each_line(error.fix, [&](std::string_view line) { text += "       " + std::string(line) + '\n'; });
  return text;
}

void print_error(const Error& error) {
  const std::string text = error_text(error);
  (void)std::fwrite(text.data(), 1, text.size(), stderr);
}

int failed(const Error& error) {
  print_error(error);
  return exit_code::own_failure;
}

void print_note(std::string_view text) {
  const std::string line = "prony: " + std::string(text) + '\n';
  (void)std::fwrite(line.data(), 1, line.size(), stderr);
}

Terminal terminal_of(int fd) {
  Terminal terminal;
  terminal.is_terminal = ::isatty(fd) == 1;
  const char* columns = std::getenv("COLUMNS");
  const auto asked = columns == nullptr ? std::nullopt : parse_u64(columns);
  struct winsize size{};
  if (asked && *asked > 0) {
    terminal.width = static_cast<std::size_t>(std::min<std::uint64_t>(*asked, 10'000));
  } else if (terminal.is_terminal && ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.width = size.ws_col;
  }
  terminal.width = std::clamp<std::size_t>(terminal.width, 40, 400);
  const char* no_colour = std::getenv("NO_COLOR");
  const char* kind = std::getenv("TERM");
  terminal.colour = terminal.is_terminal && (no_colour == nullptr || *no_colour == '\0') &&
                    (kind == nullptr || std::string_view(kind) != "dumb");
  return terminal;
}

namespace {

// Options of every recording that few need: they work everywhere, and stand on a page of their own.
struct RareOption {
  const char* name;
  const char* type;  // empty: a flag
  const char* help;
};
constexpr std::size_t help_columns = 100;
constexpr RareOption rare_options[] = {
    {"budget", "PERCENT", "Slow the lanes before Prony takes more of a core than this (0.5%)"},
    {"every-channel", "", "Also what sensors leave out (single CPUs, rails' volts)"},
    {"wall-estimate", "", "Also what a published line makes of a board's rails for its plug"},
    {"sysfs", "DIR", "Read this tree instead of /sys"},
    {"procfs", "DIR", "Read this tree instead of /proc"},
    {"tree", "RUNG", "Follow the tree by automatic, cgroup, exit-events, subreaper, polling"},
    {"die-with-prony", "", "End the whole tree if Prony dies"},
    {"config", "FILE", "Options as lines of TOML (flag > environment > file > default)"}};

void add_rare_options(CLI::App& command, RecordOptions& o, Settings& settings) {
  const auto add = [&](const RareOption& row) -> CLI::Option* {
    const std::string name = row.name, flag = "--" + name;
    if (name == "every-channel") return command.add_flag(flag, o.every_channel, row.help);
    if (name == "wall-estimate") return command.add_flag(flag, o.wall_estimate, row.help);
    if (name == "die-with-prony") return command.add_flag(flag, o.die_with_prony, row.help);
    if (name == "budget") return command.add_option(flag, o.budget, row.help);
    if (name == "sysfs") return command.add_option(flag, o.machine.sysfs, row.help);
    if (name == "procfs") return command.add_option(flag, o.machine.procfs, row.help);
    if (name == "tree") return command.add_option(flag, o.tree, row.help);
    return command.add_option(flag, o.config, row.help);
  };
  std::string line = "And (see `prony help recording`):";  // as many as fit
  for (const RareOption& row : rare_options) {
    const std::string default_text = row.type[0] == '\0'                      ? "false"
                                     : std::string_view(row.name) == "tree"   ? o.tree
                                     : std::string_view(row.name) == "sysfs"  ? o.machine.sysfs
                                     : std::string_view(row.name) == "procfs" ? o.machine.procfs
                                                                              : "";
    CLI::Option* option = add(row);
    if (row.type[0] != '\0') option->type_name(row.type);
    option->group("");  // not in --help
    if (std::string_view(row.name) != "config") settings.watch(row.name, option, default_text);
    const std::string more = " --" + std::string(row.name);
    if (line.size() + more.size() + std::string_view(" …").size() <= help_columns) line += more;
  }
  command.footer(line + " …\n" + command.get_footer());
}

}  // namespace

std::string rare_options_text() {
  std::string text = "Options of `prony run` and `prony llm` that few need\n\n";
  for (const RareOption& row : rare_options) {
    std::string name = "  --" + std::string(row.name) + (row.type[0] == '\0' ? "" : " ") + row.type;
    name.resize(24, ' ');
    text += name + row.help + "\n";
  }
  return text;
}

void add_record_options(CLI::App& command, RecordOptions& o, Settings& settings) {
  const auto text = [&](const std::string& name, std::string& value, const std::string& help, const char* type) {
    const std::string default_text = value;
    settings.watch(name, command.add_option("--" + name, value, help)->type_name(type), default_text);
  };
  text("interval", o.interval, "Time between ticks, 1ms to 60s (default 10ms)", "DURATION");
  text("out", o.out, "The Run file (default runs/<utc>-<name>.prony)", "PATH");
  settings.watch("force", command.add_flag("--force", o.force, "Overwrite the Run file if it exists"), "false");
  text("json", o.json, "Also write the summary as JSON", "FILE");
  text("csv", o.csv, "Also write samples.csv and requests.csv", "DIR");
  text("sensors", o.sensors, "Only these sensors (see `prony sensors`)", "NAME,NAME");
  settings.watch("meter", add_meter_option(command, o.meters), "");
  settings.watch("simulate", add_simulate_option(command, o.machine), "");
  text("baseline", o.baseline, "Measure the idle machine this long before and after, or `stored`", "DURATION");
  text("max-temp", o.max_temp, "Over this (90C, 194F) stop before the next request, or warn", "TEMP");
  settings.watch("tag",
                 command.add_option("--tag", o.tags, "Keep k=v with the Run; may be repeated")
                     ->type_name("K=V")
                     ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
                     ->allow_extra_args(false),
                 "");
  settings.watch("quiet", command.add_flag("--quiet", o.quiet, "Print no summary and no live line"), "false");
  add_energy_options(command, o.energy, settings);
  add_rare_options(command, o, settings);
}

std::vector<std::string> config_keys() {
  std::vector<std::string> keys{"interval",
                                "out",
                                "force",
                                "json",
                                "csv",
                                "sensors",
                                "sysfs",
                                "procfs",
                                "simulate",
                                "baseline",
                                "tag",
                                "quiet",
                                "tree",
                                "die-with-prony",
                                "engine",
                                "model",
                                "prompts",
                                "max-tokens",
                                "temperature",
                                "top-k",
                                "top-p",
                                "seed",
                                "threads",
                                "ctx",
                                "repeat",
                                "warmup",
                                "warmup-until",
                                "gap",
                                "keep-output",
                                "timeout",
                                "ignore-eos",
                                "max-temp",
                                "max-temp-stop",
                                "budget",
                                "meter",
                                "sink",
                                "metrics",
                                "to",
                                "listen",
                                "log",
                                "response-header",
                                "engine-metrics"};
  const auto energy = energy_config_keys();
  keys.insert(keys.end(), energy.begin(), energy.end());
  const auto engines = http_engine_config_keys();
  const auto prompts = prompt_config_keys();
  keys.insert(keys.end(), prompts.begin(), prompts.end());
  keys.insert(keys.end(), engines.begin(), engines.end());
  const auto transformers = transformers_config_keys();
  keys.insert(keys.end(), transformers.begin(), transformers.end());
  const auto load = load_config_keys();
  keys.insert(keys.end(), load.begin(), load.end());
  const auto utilisation = utilisation_config_keys();
  keys.insert(keys.end(), utilisation.begin(), utilisation.end());
  const auto targets = target_config_keys();
  keys.insert(keys.end(), targets.begin(), targets.end());
  return keys;
}

std::string config_file(const RecordOptions& options) {
  if (!options.config.empty()) return options.config;
  if (const char* named = std::getenv("PRONY_CONFIG"); named != nullptr && *named != '\0') return named;
  std::filesystem::path home;
  if (const char* xdg = std::getenv("XDG_CONFIG_HOME"); xdg != nullptr && *xdg != '\0') {
    home = xdg;
  } else if (const char* user = std::getenv("HOME"); user != nullptr && *user != '\0') {
    home = std::filesystem::path(user) / ".config";
  } else {
    return {};
  }
  const std::filesystem::path file = home / "prony" / "config.toml";
  std::error_code ignored;
  return std::filesystem::exists(file, ignored) ? file.string() : std::string{};
}

Result<Duration> duration_setting(const std::string& text, std::string_view option, Duration least, Duration most) {
  const auto ns = parse_duration_ns(text);
  const std::string name = "--" + std::string(option);
  if (!ns)
    return fail(ErrorCode::usage, "'" + printable(text, 40) + "' is not a duration", name,
                "Write a number with its unit: 10ms, 2s, 1m.");
  if (*ns < least.ns || *ns > most.ns)
    return fail(ErrorCode::usage, "'" + printable(text, 40) + "' is out of range", name,
                "It may be " + format_number(static_cast<double>(least.ns) / 1e9) + "s to " +
                    format_number(static_cast<double>(most.ns) / 1e9) + "s.");
  return Duration{*ns};
}

std::string file_name_word(std::string_view text) {
  std::string word;
  for (const char c : text) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-';
    word += plain ? c : '-';
    if (word.size() == 60) break;
  }
  while (!word.empty() && (word.front() == '.' || word.front() == '-')) word.erase(0, 1);
  return word.empty() ? "run" : word;
}

}  // namespace prony::app
