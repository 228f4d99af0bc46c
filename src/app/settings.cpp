#include "app/settings.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/text.hpp"

namespace prony::app {

namespace {

std::string environment_name(const std::string& name) {
  std::string variable = "PRONY_";
  for (const char c : name) variable += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return variable;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ",") + part;
  return text;
}

// As it is kept: keys of gateways stand behind the "?" of an address.
std::string without_query(const std::string& value) {
  const std::size_t scheme = value.find("://");
  const std::size_t query = scheme == std::string::npos ? scheme : value.find('?', scheme);
  return query == std::string::npos ? value : value.substr(0, query) + "?…";
}

using ConfigFile = std::map<std::string, std::vector<std::string>>;

// `key = value` lines as TOML writes them; sections are refused, since every key means the same everywhere.
Result<ConfigFile> read_config(const std::string& path, const std::vector<std::string>& known) {
  const auto text = read_whole_file(path, 1 << 20);
  if (!text) return Unexpected<Error>(text.error());
  ConfigFile file;
  try {
    std::istringstream stream(*text);
    for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_config(stream)) {
      if (item.name == "++" || item.name == "--") continue;  // CLI11's marks of a section's begin and end
      const std::string key = joined(item.parents).empty() ? item.name : joined(item.parents) + "." + item.name;
      if (std::find(known.begin(), known.end(), key) == known.end()) {
        const auto near = nearest_name(key, known);
        return fail(ErrorCode::usage, "unknown key '" + printable(key, 60) + "'", path,
                    near ? "Did you mean '" + *near + "'?" : "The keys are the names of the options, without dashes.");
      }
      file[key] = item.inputs;
    }
  } catch (const CLI::Error& error) {
    return fail(ErrorCode::malformed, error.what(), path, "Write lines such as: interval = \"10ms\"");
  }
  return file;
}

Result<void> apply(CLI::Option& option, const std::vector<std::string>& values, const std::string& where) {
  try {
    for (const std::string& value : values) option.add_result(value);
    option.run_callback();
  } catch (const CLI::Error& error) {
    option.clear();  // what was refused is not the option's value: facts() would meet it again
    return fail(ErrorCode::usage, error.what(), where);
  }
  return {};
}

}  // namespace

void Settings::watch(const std::string& name, CLI::Option* option, std::string default_text) {
  watched_.push_back({name, option, std::move(default_text), "default"});
}

Result<void> Settings::resolve(const std::string& config_path, const std::vector<std::string>& every_known_name) {
  ConfigFile file;
  if (!config_path.empty()) {
    auto read = read_config(config_path, every_known_name);
    if (!read) return Unexpected<Error>(read.error());
    file = std::move(*read);
  }
  for (Watched& watched : watched_) {
    if (watched.option->count() > 0) {
      watched.origin = "flag";
      continue;
    }
    const std::string variable = environment_name(watched.name);
    const char* value = std::getenv(variable.c_str());
    if (value != nullptr && *value != '\0') {
      if (auto done = apply(*watched.option, {value}, variable); !done) return done;
      watched.origin = "environment";
    } else if (const auto found = file.find(watched.name); found != file.end()) {
      if (auto done = apply(*watched.option, found->second, config_path + ": " + watched.name); !done) return done;
      watched.origin = "file";
    }
  }
  return {};
}

std::vector<Fact> Settings::facts() const {
  std::vector<Fact> facts;
  for (const Watched& watched : watched_) {
    const bool given = watched.option->count() > 0;
    std::vector<std::string> values = given ? watched.option->reduced_results() : std::vector<std::string>();
    for (std::string& value : values) value = without_query(value);
    facts.push_back({"setting." + watched.name, given ? joined(values) : watched.default_text, watched.origin});
  }
  return facts;
}

std::string Settings::origin(const std::string& name) const {
  for (const Watched& watched : watched_)
    if (watched.name == name) return watched.origin;
  return "default";
}

std::vector<std::string> Settings::names() const {
  std::vector<std::string> names;
  for (const Watched& watched : watched_) names.push_back(watched.name);
  return names;
}

}  // namespace prony::app
