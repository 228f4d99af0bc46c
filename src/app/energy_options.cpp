#include "app/energy_options.hpp"

#include <CLI/CLI.hpp>

#include <array>
#include <functional>

#include "attribute/attribute.hpp"
#include "base/text.hpp"

namespace prony::app {

namespace {

struct EnergyOptionRow {
  const char* name;
  const char* type;
  const char* help;
  std::string EnergyOptions::* field;
  bool factor;
};
constexpr std::array<EnergyOptionRow, 5> energy_option_rows{{
    {"loaded-baseline", "DURATION", "prony llm: the loaded model at rest, before the first prompt",
     &EnergyOptions::loaded_baseline, false},
    {"request-share", "RULE", "prony llm: how requests at once share joules: work (default), time, equal",
     &EnergyOptions::request_share, false},
    {"carbon-g-per-kwh", "G[ SOURCE]", "Grams of CO2 equivalent per kWh, and in words where that is from",
     &EnergyOptions::carbon, true},
    {"pue", "N[ SOURCE]", "What the site draws for each kWh of its computers: 1 or more", &EnergyOptions::pue, true},
    {"tariff", "PRICE CUR[ SOURCE]", "Money per kWh: \"0.30 EUR contract of 2026\"", &EnergyOptions::tariff, true},
}};

}  // namespace

void add_factor_options(CLI::App& command, EnergyOptions& options, Settings* settings) {
  for (const EnergyOptionRow& row : energy_option_rows) {
    if (!row.factor) continue;
    CLI::Option* option =
        command.add_option("--" + std::string(row.name), options.*row.field, row.help)->type_name(row.type);
    if (settings == nullptr) continue;
    option->group("");
    settings->watch(row.name, option, "");
  }
}

CLI::Option* add_request_share(CLI::App& command, std::string& word, const std::string& help) {
  const CLI::Validator known(
      [](std::string& text) {
        return request_share_from(text)
                   ? std::string()
                   : "'" + printable(text, 40) + "' is no rule of sharing: there are work, time, equal";
      },
      "");
  return command.add_option("--request-share", word, help)->type_name("RULE")->check(known);
}

void add_energy_options(CLI::App& command, EnergyOptions& options, Settings& settings) {
  add_factor_options(command, options, &settings);
  const bool prompts = command.get_name() == "llm";
  std::string names;
  for (const EnergyOptionRow& row : energy_option_rows) {
    if (!row.factor && !prompts) continue;
    names += " --" + std::string(row.name);
    if (row.factor) continue;
    const bool share = row.field == &EnergyOptions::request_share;
    CLI::Option* option = share ? add_request_share(command, options.request_share, row.help)
                                : command.add_option("--" + std::string(row.name), options.*row.field, row.help);
    option->type_name(row.type)->group("");
    settings.watch(row.name, option, share ? "work" : "");
  }
  command.footer("And (see `prony help energy`):" + names + "\n\n" + command.get_footer());
}

Result<Factors> factors_of(const EnergyOptions& options) {
  return parse_factors(options.carbon, options.pue, options.tariff);
}

std::string energy_options_text() {
  std::string text = "Options of `prony run` and `prony llm` about what joules mean\n\n";
  for (const EnergyOptionRow& row : energy_option_rows) {
    std::string name = "  --" + std::string(row.name) + " " + row.type;
    name.resize(std::max<std::size_t>(name.size() + 2, 34), ' ');
    text += name + row.help + "\n";
  }
  return text +
         "\n--baseline 3s measures the idle machine before and after; --baseline stored takes what `prony baseline` "
         "kept\n"
         "of this machine (at most 7 days old, same kernel, firmware and governor). `prony calibrate` fits a line to "
         "a\n"
         "better meter; what this machine only models is derived in its later Runs, and beside what it measures `wall` "
         "is told.\n"
         "--meter shelly://HOST reads a meter at the wall beside all that (`prony help meters`).\n"
         "\nRequests that run at once share what the server is charged: by what each computed, at costs that are "
         "fitted\n"
         "to this very Run (work), in equal parts at each moment (time), or each the same (equal). Whatever the rule, "
         "they\n"
         "add up to the same. `prony show RUN --request-share RULE` tells an old Run by another.\n"
         "\nNo factor has a default and none is looked up: what is not given is not printed. Each may also stand in\n"
         "the configuration file, and `prony show RUN` takes the factors again to tell an old Run with others.\n";
}

std::vector<std::string> energy_config_keys() {
  std::vector<std::string> keys;
  for (const EnergyOptionRow& row : energy_option_rows) keys.emplace_back(row.name);
  return keys;
}

}  // namespace prony::app
