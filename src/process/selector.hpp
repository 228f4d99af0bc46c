// TargetChoice: how the user names a target on the command line, "--port 8080" or "--port ollama=8080".
// What each kind of selector means for a process is docs/targets.md. Thread promise: plain data and pure functions.
// Errors: `usage`, with what the option wants.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/target.hpp"

namespace prony {

enum class SelectorKind {
  pid,        // a process and its descendants
  comm,       // processes of this name (comm, or the base name of argv[0])
  user,       // processes of this effective user, by name or number
  cgroup,     // processes in this control group or below it
  container,  // processes of a container, by name or by the beginning of its id
  unit,       // processes of a systemd unit
  port,       // whoever listens on this TCP or UDP port, and its descendants
  all,        // every process that no target before names, Prony apart
};
[[nodiscard]] std::string_view to_string(SelectorKind kind) noexcept;  // "pid": the option without its dashes
[[nodiscard]] std::optional<SelectorKind> selector_kind_from(std::string_view text) noexcept;

struct TargetChoice {
  SelectorKind kind = SelectorKind::all;
  std::string name;    // of the target, as channels and rows call it; letters, digits and "-_.@" only
  std::string value;   // what is looked for; "" for all
  bool named = false;  // the user gave the name
};

// "VALUE" or "NAME=VALUE". A value that begins with "/" holds no name. `all` takes "" or a name alone.
[[nodiscard]] Result<TargetChoice> parse_target_choice(SelectorKind kind, std::string_view text);
// As the user wrote it: "--port 8080".
[[nodiscard]] std::string selector_text(const TargetChoice& choice);
// Names are made unique where Prony chose them ("web", "web-2"); two equal names that the user gave, or the name
// "command", are an error. At most 64 targets.
[[nodiscard]] Result<std::vector<Target>> name_targets(std::vector<TargetChoice>& choices);

}  // namespace prony
