// Options of whose cost is asked for, which stand on a page of their own: `prony help targets`.
// Thread promise: one thread. Errors: usage, with the form that a selector must have.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/settings.hpp"
#include "attribute/attribute.hpp"
#include "base/result.hpp"
#include "model/time.hpp"
#include "process/selector.hpp"

namespace prony::app {

struct TargetOptions {
  std::vector<TargetChoice> choices;  // as on the command line, in its order
  std::string length;                 // --for: "30s"; empty: until Ctrl-C or the command's end
  std::string idle_to = "none";
  std::string top;  // rows of single processes; empty: 10 where they are followed, and they are with --all

  [[nodiscard]] bool each_process() const;
};

// What CLI11 fills; take() makes choices of it, in the order of the command line.
class TargetFlags {
 public:
  // Adds them to `command`, not shown in its --help, whose end names them.
  void add(CLI::App& command, TargetOptions& options, Settings& settings);
  [[nodiscard]] Result<void> take(const CLI::App& command, TargetOptions& options) const;

 private:
  struct Flag {
    SelectorKind kind;
    CLI::Option* option;
  };
  std::vector<Flag> flags_;
};

// Errors: usage, with the three words there are.
[[nodiscard]] Result<IdleTo> idle_to_setting(const std::string& text);
[[nodiscard]] Result<std::size_t> top_setting(const std::string& text);  // empty: 10

[[nodiscard]] std::string target_options_text();
[[nodiscard]] std::vector<std::string> target_config_keys();

}  // namespace prony::app
