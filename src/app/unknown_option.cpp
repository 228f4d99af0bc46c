// What is said of a word on the command line that is not known. In a file of its own: the file of all subcommands names
// every one.
#include <CLI/CLI.hpp>

#include "app/subcommand.hpp"
#include "base/text.hpp"

namespace prony::app {

Error unknown_option(const CLI::App& command, const std::string& word) {
  const bool top = command.get_parent() == nullptr;
  std::vector<std::string> known;
  for (const CLI::Option* option : command.get_options()) known.push_back(option->get_name());
  for (const CLI::App* inner : command.get_subcommands([](const CLI::App*) { return true; }))
    known.push_back(inner->get_name());
  Error error{ErrorCode::usage,
              "unknown " + std::string(word.starts_with('-') ? "option" : "word") + " '" + printable(word, 60) + "'",
              {},
              {}};
  if (const auto near = nearest_name(word.substr(0, word.find('=')), known))
    error.fix = "Did you mean " + *near + "?\n";
  error.fix += "`" + (top ? "prony" : "prony " + command.get_name()) + " --help` shows what there is.";
  return error;
}

}  // namespace prony::app
