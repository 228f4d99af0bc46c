// `prony help [TOPIC]`: what does not fit a --help screen.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "app/common.hpp"
#include "app/http_engine.hpp"
#include "app/layers_measure.hpp"
#include "app/load_options.hpp"
#include "app/meter_options.hpp"
#include "app/prompt_options.hpp"
#include "app/study.hpp"
#include "app/subcommand.hpp"
#include "base/text.hpp"

namespace prony::app {

namespace {

constexpr const char* exit_codes_text =
    R"(Exit codes

  prony run -- CMD   the code of CMD, even if recording failed; 128 + n if signal n killed it
  0                  all went well
  1                  prony llm: measured, but a request or the worker failed (the summary says which)
                     prony compare: a --fail-if surely holds
  2                  prony compare: no --fail-if holds for sure, but of one it cannot be told
  125                Prony itself failed: bad usage, a place that cannot be written, a Run that cannot be read
  126                CMD was found but cannot be executed
  127                CMD was not found
)";

constexpr const char* signs_text =
    R"(Signs in the tables

  ~        modelled, not measured: no sensor sees this; low and high are a range without a promise
  ≈        derived: modelled from CPU time and held against a better meter by `prony calibrate`; low and high
           cover the truth in 95 % of cases if the machine is as it was then
  –        no number: not resolvable by this sensor in so short a time, or absent; the line below says why
  ±        how far the truth may lie on either side: a bound (it cannot be outside) or an interval (covers
           it in 95 % of cases); the line "doubt" says which
  (3…30)   low and high of a modelled figure: a range, no coverage claimed.
           `prony show RUN --json` has low_j, high_j and their kind: bound, interval(0.95), range
)";

struct Topic {
  std::string_view name;
  std::string_view help;
  std::string (*text)();
};
constexpr Topic topics[] = {
    {"exit-codes", "what each exit code means", [] { return std::string(exit_codes_text); }},
    {"signs", "what ~, ≈, –, ± and (low…high) mean", [] { return std::string(signs_text); }},
    {"targets", "whose cost: a server, a container, a user, every process", target_options_text},
    {"meters", "meters at the wall: plugs", meter_options_text},
    {"engines", "prony llm: language models in a process or behind HTTP", engines_help_text},
    {"load", "prony llm: how requests arrive; service levels, sweeps, scenarios", load_help_text},
    {"prompts", "prony llm: prompts, lengths, conversations, batching, several models", prompts_help_text},
    {"layers", "prony layers: energy of single layers", layer_options_text},
    {"study", "prony study: the whole file", study_help_text},
    {"energy", "baselines, carbon and money: options of run and llm", energy_options_text},
    {"recording", "options of run and llm that few need", rare_options_text}};

int help(const std::string& name) {
  for (const Topic& topic : topics) {
    if (topic.name != name) continue;
    std::fputs(topic.text().c_str(), stdout);
    return exit_code::ok;
  }
  if (!name.empty()) {
    std::vector<std::string> names;
    for (const Topic& topic : topics) names.emplace_back(topic.name);
    for (const Subcommand& row : subcommands()) names.emplace_back(row.name);
    const auto near = nearest_name(name, names);
    print_error({ErrorCode::usage,
                 "no help on '" + printable(name, 40) + "'",
                 {},
                 near && *near == name ? "`prony " + name + " --help` has it."
                 : near                ? "Did you mean '" + *near + "'?"
                                       : "`prony help` lists the topics."});
    return exit_code::own_failure;
  }
  std::fputs("Subcommands (prony SUBCOMMAND --help says more):\n", stdout);
  for (const Subcommand& row : subcommands())
    std::printf("  %-10s %s\n", std::string(row.name).c_str(), std::string(row.help).c_str());
  std::fputs("\nTopics (prony help TOPIC):\n", stdout);
  for (const Topic& topic : topics)
    std::printf("  %-12s %s\n", std::string(topic.name).c_str(), std::string(topic.help).c_str());
  return exit_code::ok;
}

}  // namespace

std::function<int(const CommandWords&)> add_help(CLI::App& command) {
  auto topic = std::make_shared<std::string>();
  command.add_option("TOPIC", *topic, "exit-codes, signs, targets, meters, prompts, energy, recording");
  return [topic](const CommandWords&) { return help(*topic); };
}

}  // namespace prony::app
