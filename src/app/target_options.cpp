#include "app/target_options.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <map>

#include "base/text.hpp"

namespace prony::app {

namespace {

struct SelectorRow {
  SelectorKind kind;
  const char* type;
  const char* help;
};
constexpr std::array<SelectorRow, 8> selector_rows{{
    {SelectorKind::pid, "[NAME=]N", "A process and its descendants"},
    {SelectorKind::comm, "[NAME=]COMM", "Processes of this name"},
    {SelectorKind::user, "[NAME=]USER", "Processes of this user, by name or number"},
    {SelectorKind::cgroup, "[NAME=]PATH", "Processes in this control group or below it"},
    {SelectorKind::container, "[NAME=]ID", "Processes of a container, by name or the beginning of its id"},
    {SelectorKind::unit, "[NAME=]UNIT", "Processes of a systemd unit"},
    {SelectorKind::port, "[NAME=]N", "Whoever listens on this port, and its descendants"},
    {SelectorKind::all, "", "Every other process, and rows for single ones"},
}};

}  // namespace

bool TargetOptions::each_process() const {
  return !top.empty() || std::ranges::any_of(choices, [](const auto& c) { return c.kind == SelectorKind::all; });
}

void TargetFlags::add(CLI::App& command, TargetOptions& options, Settings& settings) {
  std::string names;
  for (const SelectorRow& row : selector_rows) {
    const std::string flag = "--" + std::string(to_string(row.kind));
    CLI::Option* option = row.type[0] == '\0' ? command.add_flag(flag, row.help) : command.add_option(flag, row.help);
    if (row.type[0] != '\0')
      option->type_name(row.type)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
          ->expected(1)
          ->allow_extra_args(false);
    option->group("");
    flags_.push_back({row.kind, option});
    names += " " + flag;
  }
  const auto setting = [&](const char* name, std::string& value, const char* type) {
    const std::string default_text = value;
    CLI::Option* option = command.add_option("--" + std::string(name), value)->type_name(type)->group("");
    settings.watch(name, option, default_text);
    names += " --" + std::string(name);
  };
  names += "\n    ";  // a line of its own: together they are wider than a screen
  setting("for", options.length, "DURATION");
  setting("idle-to", options.idle_to, "POLICY");
  setting("top", options.top, "N");
  command.footer("And (see `prony help targets`):" + names + "\n" + command.get_footer());
}

Result<void> TargetFlags::take(const CLI::App& command, TargetOptions& options) const {
  if (options.length.empty() && command.get_option("--for")->count() > 0)  // a script's empty variable: not "for ever"
    return fail(ErrorCode::usage, "'' is not a duration", "--for", "Write a number with its unit: 30s, 5m.");
  options.choices.clear();
  std::map<const CLI::Option*, std::size_t> taken;
  for (const CLI::Option* parsed : command.parse_order()) {
    const auto flag = std::ranges::find(flags_, parsed, &Flag::option);
    if (flag == flags_.end()) continue;
    const std::size_t nth = taken[parsed]++;
    if (flag->kind == SelectorKind::all && nth > 0) continue;
    const auto& values = parsed->results();
    const std::string value = flag->kind == SelectorKind::all || nth >= values.size() ? std::string() : values[nth];
    auto choice = parse_target_choice(flag->kind, value);
    if (!choice) return Unexpected<Error>(choice.error());
    options.choices.push_back(std::move(*choice));
  }
  auto names = options.choices;
  if (auto named = name_targets(names); !named) return Unexpected<Error>(named.error());
  return {};
}

Result<IdleTo> idle_to_setting(const std::string& text) {
  if (const auto policy = idle_to_from(text)) return *policy;
  return fail(ErrorCode::usage, "'" + printable(text, 40) + "' is no policy for the idle part", "--idle-to",
              "It may be none (it stays apart), share (to all by their share) or target (to the targets alone).");
}

Result<std::size_t> top_setting(const std::string& text) {
  if (text.empty()) return std::size_t{10};
  const auto rows_wanted = parse_u64(text);
  if (rows_wanted && *rows_wanted <= 10'000) return static_cast<std::size_t>(*rows_wanted);
  return fail(ErrorCode::usage, "'" + printable(text, 40) + "' is not a number of rows", "--top",
              "Write a whole number up to 10000.");
}

std::string target_options_text() {
  std::string text =
      "Options of `prony run` about whose cost is asked for\n\n"
      "  prony run --port 8080 -- ./client         the command, and the server it talks to\n"
      "  prony run --container web --for 30s       no command: until --for is over, or Ctrl-C\n"
      "  prony run --port ollama=11434 --user 1000 several at once; NAME= gives a target its name\n"
      "  prony run --all --top 20 --for 1m         every process, the 20 that cost most in rows\n\n";
  const auto line = [&](std::string left, const char* help) {
    left.resize(std::max<std::size_t>(left.size() + 2, 28), ' ');
    text += left + help + "\n";
  };
  for (const SelectorRow& row : selector_rows)
    line("  --" + std::string(to_string(row.kind)) + (row.type[0] == '\0' ? "" : " ") + row.type, row.help);
  line("  --for DURATION", "Without a command: end after this long (30s, 5m); else at Ctrl-C");
  line("  --until-exit", "Without a command: end when the processes that --pid named have, and tell how they did");
  line("  --idle-to POLICY", "The idle part, where --baseline tells it: none, share, target");
  line("  --top N", "Follow processes one by one and show the N that cost most");
  return text +
         "\nEach selector may be repeated. A process belongs to the first target that names it, the command's tree "
         "before\n"
         "all others, so that joules are never counted twice; targets, others, Prony, idle and unattributed add up to\n"
         "gross. A target may come, go and come back. What each selector sees, and how use is counted (process "
         "clocks,\n"
         "exit events, eBPF, cycles): docs/targets.md\n";
}

std::vector<std::string> target_config_keys() { return {"for", "idle-to", "top"}; }

}  // namespace prony::app
