// Target: somebody whose cost is asked for: the measured command's tree, or processes that a selector names while they
// come and go. A process belongs to one target at most, the first in the Run's order that names it, so that what
// targets are charged never overlaps. Thread promise: plain data.
#pragma once

#include <string>
#include <string_view>

namespace prony {

struct Target {
  std::string name;      // unique in a Run; channels and rows call it so: "command", "ollama", "port-8080"
  std::string selector;  // how it was chosen, as the user wrote it: "--port 8080"; "": the measured command
};

// The measured command's tree, where a Run has further targets.
inline constexpr std::string_view command_target = "command";

// The domain of the channel that tells for how much CPU time a target's events counted.
inline constexpr std::string_view counted_domain = "counted";

}  // namespace prony
