#include "app/load_options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

namespace prony::app {

namespace {

struct LoadOptionRow {
  const char* name;
  const char* value;  // its type in the help; "": a flag
  const char* help;
};
constexpr std::array<LoadOptionRow, 14> load_option_rows{{
    {"streams", "N",
     "Closed: N requests under way, each stream's next one when its last is answered. With an open\n"
     "                        load: no more than N under way (default 4096)"},
    {"think", "DURATION", "Closed: rest of a stream between an answer and its next request"},
    {"rate", "R", "Open: R requests a second, whatever the server does"},
    {"arrivals", "HOW", "Of --rate: poisson (default), constant, gamma:B (B < 1: in bursts), after vLLM"},
    {"ramp", "A:B[:exp]", "Open: from A to B requests a second, linear or by the same factor"},
    {"bursts", "N:GAP", "Open: N at once, every GAP"},
    {"all-at-once", "", "Open: everything at the beginning"},
    {"trace", "FILE", "Open: as a trace has it: Mooncake's or timed JSON Lines, CSV (BurstGPT's too)"},
    {"time-scale", "F", "Of --trace: gaps F times as long (0.5: twice the rate)"},
    {"requests", "N", "So many requests, prompts in turn (default: each prompt once)"},
    {"for", "DURATION", "Begin requests for so long; those under way are answered"},
    {"slo", "LIMITS", "ttft=500ms,tpot=50ms,e2e=10s (any of them) or mlperf:MODEL: goodput, share within"},
    {"sweep", "LIST", "rate:1,2,4 or streams:1,2,4: a level for each, in one Run"},
    {"find-knee", "R", "Search the largest rate that meets --slo for 99 % of its requests; R: the first to try"},
}};
constexpr LoadOptionRow scenario_row{
    "scenario", "NAME", "MLPerf's single-stream, multi-stream, server (with --rate) or offline, by its rules"};

}  // namespace

bool asks_for_load(const LoadOptions& o) {
  return o.streams || o.requests || o.all_at_once || !o.think.empty() || !o.rate.empty() || !o.ramp.empty() ||
         !o.bursts.empty() || !o.trace.empty() || !o.length.empty() || !o.slo.empty() || !o.sweep.empty() ||
         !o.find_knee.empty() || !o.scenario.empty() || !o.arrivals.empty() || !o.time_scale.empty();
}

void add_load_options(CLI::App& command, LoadOptions& o, Settings& settings) {
  const auto rare = [&](CLI::Option* option, const char* name, const std::string& otherwise) {
    option->group("");
    settings.watch(name, option, otherwise);
  };
  rare(command.add_option("--streams", o.streams), "streams", "");
  rare(command.add_option("--requests", o.requests), "requests", "");
  rare(command.add_flag("--all-at-once", o.all_at_once), "all-at-once", "false");
  for (const auto& [name, target] :
       std::initializer_list<std::pair<const char*, std::string*>>{{"think", &o.think},
                                                                   {"rate", &o.rate},
                                                                   {"arrivals", &o.arrivals},
                                                                   {"ramp", &o.ramp},
                                                                   {"bursts", &o.bursts},
                                                                   {"trace", &o.trace},
                                                                   {"time-scale", &o.time_scale},
                                                                   {"for", &o.length},
                                                                   {"slo", &o.slo},
                                                                   {"sweep", &o.sweep},
                                                                   {"find-knee", &o.find_knee},
                                                                   {"scenario", &o.scenario}})
    rare(command.add_option("--" + std::string(name), *target), name, "");
}

std::vector<std::string> load_config_keys() {
  std::vector<std::string> keys;
  for (const LoadOptionRow& row : load_option_rows) keys.emplace_back(row.name);
  keys.emplace_back(scenario_row.name);
  return keys;
}

std::string load_help_text() {
  std::string text =
      "How requests arrive at an engine (prony llm)\n\n"
      "  prony llm --engine openai --url http://127.0.0.1:8000 --rate 5 --slo ttft=500ms\n"
      "  prony llm --engine ollama --model NAME --streams 4 --for 60s\n\n"
      "Without any of these, prompts go one after another.\n\n";
  const auto line = [&](const LoadOptionRow& row) {
    std::string left = "  --" + std::string(row.name) + (*row.value == '\0' ? "" : " ") + row.value;
    left.resize(std::max<std::size_t>(left.size() + 2, 24), ' ');
    text += left + row.help + "\n";
  };
  for (const LoadOptionRow& row : load_option_rows) line(row);
  line(scenario_row);
  return text +
         "\nAn open load's TTFT and E2E begin when a request was scheduled, not when it could be sent: no queue hides\n"
         "in the client. Definitions, files of traces, service levels: docs/load.md and docs/metrics.md\n";
}

}  // namespace prony::app
