// Settings: options with the place their value came from. A flag beats the environment (PRONY_<NAME>), which beats the
// configuration file, which beats the default; the Run keeps each value with its origin. Thread promise: one thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/manifest.hpp"

// CLI11 costs seconds to compile: only the files that add options include it.
namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace prony::app {

class Settings {
 public:
  // Watches an option of CLI11; `name` is the flag without dashes: "--max-tokens" → max-tokens, PRONY_MAX_TOKENS.
  void watch(const std::string& name, CLI::Option* option, std::string default_text);

  // After the command line was parsed: fills what it left open from environment and file. Errors (usage) name the
  // variable or the file's key, and the nearest known key.
  [[nodiscard]] Result<void> resolve(const std::string& config_path, const std::vector<std::string>& every_known_name);

  // setting.<name> with its value and origin, in the order watched. What follows the "?" of an address is left out.
  [[nodiscard]] std::vector<Fact> facts() const;
  [[nodiscard]] std::string origin(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  struct Watched {
    std::string name;
    CLI::Option* option;
    std::string default_text;
    std::string origin;
  };
  std::vector<Watched> watched_;
};

}  // namespace prony::app
