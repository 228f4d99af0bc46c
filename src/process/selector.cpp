#include "process/selector.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr std::size_t most_targets = 64;

struct Row {
  SelectorKind kind;
  std::string_view name;
  std::string_view wants;
};
constexpr std::array<Row, 8> rows = {{
    {SelectorKind::pid, "pid", "a process id: --pid 4711"},
    {SelectorKind::comm, "comm", "a process name: --comm ollama"},
    {SelectorKind::user, "user", "a user's name or number: --user www-data"},
    {SelectorKind::cgroup, "cgroup", "the path of a control group: --cgroup /system.slice"},
    {SelectorKind::container, "container", "a container's name or id: --container web"},
    {SelectorKind::unit, "unit", "a systemd unit: --unit ollama.service"},
    {SelectorKind::port, "port", "a port number: --port 8080"},
    {SelectorKind::all, "all", "nothing, or a name: --all"},
}};

const Row& row_of(SelectorKind kind) noexcept { return rows[static_cast<std::size_t>(kind)]; }

bool name_character(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
         c == '.' || c == '@';
}

bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool valid_name(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), name_character);
}

std::string made_name(SelectorKind kind, std::string_view value) {
  if (kind == SelectorKind::all) return "all";
  if (kind == SelectorKind::cgroup) {
    while (value.ends_with('/')) value.remove_suffix(1);
    value.remove_prefix(value.rfind('/') == std::string_view::npos ? 0 : value.rfind('/') + 1);
  }
  if (kind == SelectorKind::unit && value.ends_with(".service")) value.remove_suffix(8);
  std::string name;
  if (kind == SelectorKind::pid || kind == SelectorKind::port || kind == SelectorKind::user)
    name = std::string(to_string(kind)) + "-";
  for (const char c : value.substr(0, 48)) name += name_character(c) ? c : '_';
  return name.empty() ? std::string(to_string(kind)) : name;
}

Unexpected<Error> wrong(SelectorKind kind, std::string what, const std::string& more = {}) {
  return fail(ErrorCode::usage, std::move(what), "--" + std::string(to_string(kind)),
              "it wants " + std::string(row_of(kind).wants) + "; with a name: NAME=VALUE" + more);
}

}  // namespace

std::string_view to_string(SelectorKind kind) noexcept { return row_of(kind).name; }

std::optional<SelectorKind> selector_kind_from(std::string_view text) noexcept {
  for (const Row& row : rows)
    if (row.name == text) return row.kind;
  return std::nullopt;
}

Result<TargetChoice> parse_target_choice(SelectorKind kind, std::string_view text) {
  TargetChoice choice;
  choice.kind = kind;
  const auto equals = text.starts_with('/') ? std::string_view::npos : text.find('=');
  if (kind == SelectorKind::all) {
    choice.name = text.empty() ? "all" : std::string(text.substr(0, equals));
    choice.named = !text.empty();
    if (!valid_name(choice.name)) return wrong(kind, "'" + printable(text, 40) + "' is no name for a target");
    return choice;
  }
  choice.named = equals != std::string_view::npos;
  choice.value = std::string(choice.named ? text.substr(equals + 1) : text);
  if (choice.value.empty()) return wrong(kind, "nothing is looked for");
  if (choice.value.find('\0') != std::string::npos || choice.value.size() > 4096)
    return wrong(kind, "'" + printable(choice.value, 40) + "' cannot be looked for");
  const auto number = parse_u64(choice.value);
  if (kind == SelectorKind::pid && (!number || *number == 0 || *number > 0x7fffffff)) {
    const bool is_word = std::ranges::any_of(choice.value, is_letter);
    return wrong(kind, "'" + printable(choice.value, 40) + "' is no process id",
                 is_word ? "; by a process's name: --comm " + printable(choice.value, 40) : std::string());
  }
  if (kind == SelectorKind::port && (!number || *number == 0 || *number > 65535))
    return wrong(kind, "'" + printable(choice.value, 40) + "' is no port");
  choice.name = choice.named ? std::string(text.substr(0, equals)) : made_name(kind, choice.value);
  if (!valid_name(choice.name))
    return wrong(kind, "'" + printable(choice.name, 40) + "' is no name for a target (letters, digits and -_.@)");
  return choice;
}

std::string selector_text(const TargetChoice& choice) {
  std::string text = "--" + std::string(to_string(choice.kind));
  if (choice.kind == SelectorKind::all) return choice.named ? text + " " + choice.name : text;
  return text + " " + (choice.named ? choice.name + "=" : "") + choice.value;
}

Result<std::vector<Target>> name_targets(std::vector<TargetChoice>& choices) {
  if (choices.size() > most_targets)
    return fail(ErrorCode::usage, std::to_string(choices.size()) + " targets", {},
                "a Run has at most " + std::to_string(most_targets));
  const auto taken = [&choices](const std::string& name, const TargetChoice* self) {
    return name == command_target || std::any_of(choices.begin(), choices.end(), [&](const TargetChoice& other) {
             return &other != self && other.name == name;
           });
  };
  for (TargetChoice& choice : choices) {
    if (choice.named) {
      const bool twice = std::any_of(choices.begin(), choices.end(), [&](const TargetChoice& other) {
        return &other != &choice && other.named && other.name == choice.name;
      });
      if (choice.name == command_target || twice)
        return wrong(choice.kind, twice ? "two targets are called '" + choice.name + "'"
                                        : "'command' is the name of the measured command");
      continue;
    }
    const std::string base = choice.name;
    for (int count = 2; taken(choice.name, &choice); ++count) choice.name = base + "-" + std::to_string(count);
  }
  std::vector<Target> targets;
  for (const TargetChoice& choice : choices) targets.push_back({choice.name, selector_text(choice)});
  return targets;
}

}  // namespace prony
