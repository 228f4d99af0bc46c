#include "app/prony.hpp"

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <exception>
#include <sstream>

#include "app/common.hpp"
#include "app/compare.hpp"
#include "app/import.hpp"
#include "app/merge.hpp"
#include "app/proxy.hpp"
#include "app/study.hpp"
#include "app/study_campaign.hpp"
#include "app/subcommand.hpp"
#include "base/text.hpp"

namespace prony::app {

namespace {

constexpr auto subcommand_rows = std::to_array<Subcommand>({
    {"run", "Measure any program: time, memory, joules",
     "  prony run -- python3 train.py\n  prony run --interval 1ms --baseline 3s --json out.json -- ./infer model.bin\n",
     &add_run},
    {"llm", "Ask a language model and say what every prompt cost",
     "  prony llm --engine ollama --url http://127.0.0.1:11434 --model llama3.2:3b\n  prony llm --model model.gguf "
     "--prompts prompts.jsonl "
     "--max-tokens "
     "256 --repeat 5\n",
     &add_llm},
    {"study", "Many runs by one file: sweeps, cycles, orders; survives a kill and a reboot",
     "  prony study examples/precision.toml\n  prony study --resume studies/20261120T225801-precision\n", &add_study},
    {"monitor", "Watch this machine and tell files or Prometheus until stopped",
     "  prony monitor --sink csv:out.csv --metrics power,cpu\n  prony monitor --port 8080 --sink "
     "prometheus:9788\n",
     &add_monitor},
    {"proxy", "Pass requests on to a model server and tell what each cost",
     "  prony proxy --to http://127.0.0.1:11434 --log requests.jsonl\n  prony proxy --to http://127.0.0.1:8080 --sink "
     "prometheus:9788\n",
     &add_proxy},
    {"collect", "Receive what monitors of other machines send, keep it and show it",
     "  prony collect --out fleet.sqlite\n  prony collect --listen :9787 --token-file token --web-config web.yml\n",
     &add_collect},
    {"sensors", "What can be measured here, and why not the rest", "  prony sensors\n  prony sensors --json\n",
     &add_sensors},
    {"doctor", "One screen: how well this machine measures, and what mends what is missing",
     "  prony doctor\n  prony doctor --json\n", &add_doctor},
    {"setup", "Do what error messages advise: permissions of sensors, and back",
     "  sudo prony setup rapl --persist\n  prony setup rapl --dry-run\n", &add_setup},
    {"probe", "Watch a sensor and learn its update period, step, noise and cost",
     "  prony probe rapl\n  prony probe hwmon --for 10s\n", &add_probe},
    {"baseline", "Measure the idle machine and keep that for later Runs",
     "  prony baseline --for 10s\n  prony run --baseline stored -- ./infer model.bin\n", &add_baseline},
    {"calibrate", "Fit what software sees to a better meter, and keep the line",
     "  prony calibrate --against power_supply.BAT0.power\n  prony calibrate --show\n", &add_calibrate},
    {"attach", "Lay a meter's log beside a Run, its clock set right by the shape of both",
     "  prony attach RUN 'file:omegawatt.csv#map=omegawatt,watts=activepow1+activepow2'\n"
     "  prony attach RUN 'plug=file:plug.csv#time=1,watts=3' --within 10m\n",
     &add_attach},
    {"merge", "Lay a client's Run to the Run of its server's host: joules there, tokens here",
     "  prony merge server.prony client.prony -o both.prony\n  prony merge server.prony client.prony --offset 3ms "
     "--doubt 500us\n",
     &add_merge},
    {"show", "The summary of a recorded Run", "  prony show runs/20261120T225801-demo.prony\n  prony show RUN --json\n",
     &add_show},
    {"compare", "What changed between two Runs, or sets of Runs, and how sure that is",
     "  prony compare before.prony after.prony\n  prony compare runs/main runs/branch --fail-if 'j_per_output_token > "
     "+5%'\n",
     &add_compare},
    {"import", "What another tool recorded, as a Run",
     "  prony import --from aiperf profile_export.jsonl -o aiperf.prony\n  prony import --from llm-thesis results.json "
     "--select 0042 -o 0042.prony\n",
     &add_import},
    {"export", "Samples, spans, charges or channels as CSV or JSON Lines",
     "  prony export RUN --format csv --table samples > samples.csv\n  prony export RUN --format jsonl --table spans\n",
     &add_export},
    {"inspect", "What a model is, and what computing with it costs, from its files alone",
     "  prony inspect model.gguf --prompt-tokens 2048 --output-tokens 256\n  prony inspect ollama:llama3.2:3b "
     "--peak-flops 312T "
     "--peak-bandwidth 2TB/s\n",
     &add_inspect},
    {"quality", "Whether kept answers do what they were told (IFEval)",
     "  prony quality ifeval.prony\n  prony quality --answers answers.jsonl --prompts ifeval.jsonl --json\n",
     &add_quality},
    {"layers", "What each layer of a network takes, and what a frame costs",
     "  prony layers resnet18.onnx --runs 200\n  prony layers --campaign models.toml -o FOLDER\n",
     &add_layers_and_campaigns},
    {"synth", "Make a model with random weights: real compute, meaningless text",
     "  prony synth llama --params 15M -o tiny.gguf\n  prony synth llama --params 100M --quant f16 --seed 7 -o "
     "model.gguf\n",
     &add_synth},
    {"predict", "What layers and networks will take, learned from others",
     "  prony predict train DATASET -o model.json\n  prony predict apply model.json network.json --batch 8 --layers\n",
     &add_predict},
    {"help", "Exit codes and signs explained", "  prony help exit-codes\n  prony help signs\n", &add_help},
});

// CLI11 leaves out the names of options that --help does not list, so a complaint of one would name nobody.
std::string hidden_culprit(CLI::App& command, const std::string& complaint) {
  for (CLI::Option* option : command.get_options()) {
    if (!option->get_group().empty() || option->count() == 0 || option->get_lnames().empty()) continue;
    try {
      option->run_callback();
    } catch (const CLI::ParseError& error) {
      if (error.what() == complaint) return "--" + option->get_lnames().front();
    }
  }
  return {};
}

int usage_error(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* where = &app;
  if (const auto parsed = app.get_subcommands(); !parsed.empty()) where = parsed.front();
  if (const std::vector<std::string> strange = where->remaining(true); !strange.empty()) {
    print_error(unknown_option(*where, strange.front()));
    return exit_code::own_failure;
  }
  Error told{ErrorCode::usage, error.what(), {}, {}};
  if (const auto parsed = app.get_subcommands(); !parsed.empty()) {
    const std::string culprit = hidden_culprit(*parsed.front(), told.what);
    (told.what.starts_with(": ") ? told.what : told.where).insert(0, culprit);
  }
  for (char& c : told.what)
    if (c == '\n') c = ' ';
  told.fix = "`" + (where == &app ? "prony" : "prony " + where->get_name()) + " --help` shows what there is.";
  print_error(told);
  return exit_code::own_failure;
}

// CLI11 leaves two lines between the options and what follows them; a screen has none to spare.
int print_help(const CLI::App& app, const CLI::Success& help) {
  std::ostringstream out, err;
  const int code = app.exit(help, out, err);
  std::string text = out.str();
  for (std::size_t at = text.find("\n\n\n"); at != std::string::npos; at = text.find("\n\n\n", at)) text.erase(at, 1);
  std::fputs(text.c_str(), stdout);
  std::fputs(err.str().c_str(), stderr);
  return code;
}

int run_line(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  CommandWords after_dashes;
  if (const auto dashes = std::find(words.begin(), words.end(), "--"); dashes != words.end()) {
    after_dashes.assign(dashes + 1, words.end());
    words.erase(dashes, words.end());
  }
  CLI::App app("Prony measures what AI inference costs: energy, time, memory and heat.", "prony");
  app.set_version_flag("--version", std::string("prony ") + PRONY_VERSION);
  app.require_subcommand(1);
  app.footer("Start with:  prony sensors    prony run -- COMMAND    prony help\n");
  std::vector<std::function<int(const CommandWords&)>> actions;
  app.option_defaults()->multi_option_policy(
      CLI::MultiOptionPolicy::TakeLast);  // as with other tools: the last one wins
  // Hundreds of options take longer to make than to parse: of the command that is named, theirs alone.
  const bool named =
      !words.empty() && std::ranges::find(subcommand_rows, words.front(), &Subcommand::name) != subcommand_rows.end();
  for (const Subcommand& row : subcommand_rows) {
    CLI::App* command = app.add_subcommand(std::string(row.name), std::string(row.help));
    command->footer("Examples:\n" + std::string(row.examples));
    actions.push_back(!named || row.name == words.front() ? row.add(*command)
                                                          : std::function<int(const CommandWords&)>());
  }
  std::reverse(words.begin(), words.end());  // CLI11 takes a vector from its end
  try {
    app.parse(words);
  } catch (const CLI::Success& help) {
    return print_help(app, help);
  } catch (const CLI::ParseError& error) {
    if (argc == 1) {
      std::fputs(app.help().c_str(), stderr);
      return exit_code::own_failure;
    }
    return usage_error(app, error);
  }
  for (std::size_t i = 0; i < subcommand_rows.size(); ++i)
    if (app.got_subcommand(std::string(subcommand_rows[i].name))) return actions[i](after_dashes);
  return exit_code::own_failure;
}

}  // namespace

std::span<const Subcommand> subcommands() { return subcommand_rows; }

int prony_main(int argc, char** argv) {
  try {
    return run_line(argc, argv);
  } catch (const std::exception& error) {  // a bug, or no memory: said once, here, and nowhere else
    print_error({ErrorCode::unavailable,
                 std::string("internal error: ") + error.what(),
                 {},
                 "Please report it with the command line you used."});
    return exit_code::own_failure;
  }
}

}  // namespace prony::app
