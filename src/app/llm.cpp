// `prony llm --engine llama --model M.gguf`: prompts one after another to an engine in a worker process, or by one to a
// server.
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <thread>

#include "app/beside.hpp"
#include "app/http_engine.hpp"
#include "app/load_options.hpp"
#include "app/model_source.hpp"
#include "app/prompt_options.hpp"
#include "app/record.hpp"
#include "app/record_request.hpp"
#include "app/subcommand.hpp"
#include "app/transformers_engine.hpp"
#include "app/utilisation_options.hpp"
#include "base/text.hpp"
#include "workloads/worker.hpp"

namespace prony::app {

namespace {

struct LlmOptions {
  RecordOptions record;
  Settings settings;
  std::string engine = "llama";
  PromptOptions prompts;
  std::string gap = "0ms";
  std::string timeout = "10m";
  WorkerOptions worker;
  HttpEngineOptions http;
  TransformersOptions transformers;
  LoadOptions load;
  std::int32_t threads = 0;
  std::int32_t context = 0;
  UtilisationOptions utilisation;
  std::string warm_up_until;
};

// One core stays free for the meter and the machine: engines spin at barriers, and a preempted thread stalls them all.
std::int32_t default_threads() {
  const auto cores = static_cast<std::int32_t>(std::max(1u, std::thread::hardware_concurrency()));
  return std::max(1, cores - 1);
}

struct Engine {
  std::string_view name;
  std::string_view program;
  std::string_view how_to_get;
};
constexpr std::array<Engine, 1> engines{
    {{"llama", "prony-engine-llama", "tools/setup-llama.sh fetches libllama; then build again:  make build"}}};

constexpr std::string_view transformers_engine = "transformers";

// The worker's command line: an engine's program by name, or what stands after "--".
Result<std::vector<std::string>> worker_command(const LlmOptions& options, const CommandWords& words) {
  if (!words.empty()) return words;
  const std::string& engine = options.engine;
  if (engine == transformers_engine) return transformers_command(options.transformers);
  for (const Engine& row : engines) {
    if (row.name != engine) continue;
    if (auto found = find_beside_or_in_path(row.program)) return std::vector<std::string>{*found};
    return fail(ErrorCode::absent, "the worker of this engine is not installed", std::string(row.program),
                std::string(row.how_to_get));
  }
  return fail(ErrorCode::usage, "no engine is called '" + printable(engine, 40) + "'", "--engine",
              "There are: llama, transformers, " + http_engine_names() +
                  ". A worker of your own goes after two dashes:  prony llm --engine mine -- ./my-worker");
}

// Durations and what is said of them; prompts and the worker's command line come after.
Result<void> take_times(LlmOptions& options) {
  WorkerOptions& worker = options.worker;
  const auto gap = duration_setting(options.gap, "gap", Duration{0}, milliseconds(3'600'000));
  if (!gap) return Unexpected<Error>(gap.error());
  const auto timeout = duration_setting(options.timeout, "timeout", milliseconds(1), milliseconds(86'400'000));
  if (!timeout) return Unexpected<Error>(timeout.error());
  if (!options.record.energy.loaded_baseline.empty()) {
    const auto rest = duration_setting(options.record.energy.loaded_baseline, "loaded-baseline", milliseconds(1),
                                       milliseconds(3'600'000));
    if (!rest) return Unexpected<Error>(rest.error());
    worker.loaded_baseline_ns = rest->ns;
  }
  worker.gap_ns = gap->ns;
  worker.load_timeout_ns = worker.request_timeout_ns = timeout->ns;
  return {};
}

Result<void> use_process(LlmOptions& options, const CommandWords& words) {
  WorkerOptions& worker = options.worker;
  auto command = worker_command(options, words);
  if (!command) return Unexpected<Error>(command.error());
  for (const std::string& model : options.prompts.models)
    if (words.empty() && ::access(model.c_str(), R_OK) != 0)
      return Unexpected<Error>(error_from_errno(errno, model, "cannot read the model"));
  worker.arguments = std::move(*command);
  worker.threads = options.threads > 0 ? options.threads : default_threads();
  return {};
}

// The server is looked for before anything is recorded. On this machine it becomes a target by its port, which requests
// are charged from: the worker is but its client.
Result<void> use_server(LlmOptions& options, RecordPlan& plan) {
  WorkerOptions& worker = options.worker;
  auto command = http_worker_command(options.engine, options.http);
  if (!command) return Unexpected<Error>(command.error());
  auto found = find_http_server(*command, options.http.url);
  if (!found) return Unexpected<Error>(found.error());
  // The worker gives up a request in time to say so itself; then the others go on.
  const std::int64_t whole_s = std::max<std::int64_t>(1, worker.request_timeout_ns / 1'000'000'000);
  command->insert(command->end(), {"--url", found->url, "--timeout-s", std::to_string(whole_s)});
  worker.request_timeout_ns = (whole_s + 5) * 1'000'000'000;
  worker.arguments = std::move(*command);
  worker.load_advice = "see that the server has the model and memory for it:  prony help engines";
  if (options.threads > 0) worker.threads = options.threads;
  plan.facts.push_back({"engine.url", found->url, options.http.url.empty() ? "prony" : "flag"});
  if (!found->elsewhere.empty()) {
    plan.facts.push_back({"engine.elsewhere", found->elsewhere, "prony"});
    return {};
  }
  const std::string target = options.engine == "openai" ? "server" : options.engine;
  options.record.targets.choices.push_back({SelectorKind::port, target, std::to_string(found->port), true});
  plan.facts.push_back({"requests.target", target, "prony"});
  return {};
}

// Where the model's file is known to be: the engine's own, or Ollama's on this machine. "": not known.
std::string known_model_file(const LlmOptions& options, bool server, const RecordPlan& plan) {
  if (!server) return options.worker.model;
  const bool elsewhere = std::ranges::find(plan.facts, "engine.elsewhere", &Fact::key) != plan.facts.end();
  return options.engine == "ollama" && !elsewhere ? ollama_prefix + options.worker.model : std::string();
}

std::string prompts_source(const PromptOptions& prompts) {
  if (!prompts.synthetic.empty()) return "synthetic: " + prompts.synthetic;
  return prompts.source.empty() ? "built-in" : prompts.source;
}

// What the options ask for, as far as it can be told before a worker or a server is looked for.
struct Asked {
  bool server = false;
  SamplingMode sampling = SamplingMode::continuous;
  std::vector<std::string> prompt_notes, load_notes;
  std::vector<Fact> load_facts, peak_facts;
};

Result<Asked> asked_of(LlmOptions& options, const CommandWords& words) {
  if (auto resolved = options.settings.resolve(config_file(options.record), config_keys()); !resolved)
    return Unexpected<Error>(resolved.error());
  if (auto sound = check_record_options(options.record); !sound) return Unexpected<Error>(sound.error());
  WorkerOptions& worker = options.worker;
  if (auto taken = take_times(options); !taken) return Unexpected<Error>(taken.error());
  if (const auto& models = options.prompts.models; !models.empty()) {
    worker.model = models.front();
    worker.more_models.assign(models.begin() + 1, models.end());
  }
  Asked asked;
  asked.server = words.empty() && is_http_engine(options.engine);
  if (auto known = batching_goes_with(options.prompts.batching, words.empty() ? options.engine : "", asked.server);
      !known)
    return Unexpected<Error>(known.error());
  auto notes = take_prompts(options.prompts, worker);
  if (!notes) return Unexpected<Error>(notes.error());
  asked.prompt_notes = std::move(*notes);
  const auto sampling = sampling_mode(options.prompts);
  if (!sampling) return Unexpected<Error>(sampling.error());
  asked.sampling = *sampling;
  const bool transformers = options.engine == transformers_engine && words.empty();
  if (const std::string own = asked_of_transformers(options.transformers); !own.empty() && !transformers)
    return fail(ErrorCode::usage, "only the engine transformers knows this", own, "Add:  --engine transformers");
  if (transformers)
    if (auto sound = check_transformers(options.transformers); !sound) return Unexpected<Error>(sound.error());
  if (options.http.cold && !asked.server)
    return fail(ErrorCode::usage, "only a server can be told to give its model up", "--cold", "Add:  --engine ollama");
  if (options.context > 0) worker.ctx = options.context;
  if (auto planned = plan_load(options.load, worker, asked.load_facts, asked.load_notes); !planned)
    return Unexpected<Error>(planned.error());
  if (auto together = goes_with_load(options.prompts, worker); !together) return Unexpected<Error>(together.error());
  if (words.empty() && !asked.server && worker.load && worker.load->most_streams > 1)
    return Unexpected<Error>(streams_refused());  // as both workers say of themselves once they are started
  if (!options.warm_up_until.empty()) {
    auto rule = warm_up_rule(options.warm_up_until);
    if (!rule) return Unexpected<Error>(rule.error());
    worker.warm_up_until = *rule;
  }
  if (auto taken = take_peaks(options.utilisation, asked.peak_facts); !taken) return Unexpected<Error>(taken.error());
  return asked;
}

Result<RecordPlan> make_plan(LlmOptions& options, const CommandWords& words) {
  auto asked = asked_of(options, words);
  if (!asked) return Unexpected<Error>(asked.error());
  WorkerOptions& worker = options.worker;
  const bool server = asked->server;
  RecordPlan plan;
  plan.sampling = asked->sampling;
  if (options.prompts.intrusion_test) plan.facts.push_back({"intrusion.test", "on, off, off, on", "flag"});
  if (auto used = server ? use_server(options, plan) : use_process(options, words); !used)
    return Unexpected<Error>(used.error());
  for (const std::string& note : asked->prompt_notes) print_note(note);
  for (const std::string& note : asked->load_notes) print_note(note);
  plan.facts.insert(plan.facts.end(), asked->load_facts.begin(), asked->load_facts.end());

  plan.kind = "llm";
  plan.name = server ? file_name_word(worker.model) : std::filesystem::path(worker.model).stem().string();
  if (plan.name.empty()) plan.name = options.engine;
  plan.options = options.record;
  plan.interrupt_cancels = true;
  for (const Fact& fact : options.settings.facts())  // a server has as many threads as it has, not our default
    if (!server || fact.key != "setting.threads" || options.threads > 0) plan.facts.push_back(fact);
  plan.facts.push_back({"run.command", "prony llm --engine " + options.engine + " --model " + worker.model, "flag"});
  plan.facts.push_back({server ? "model.name" : "model.path", worker.model, "flag"});
  const std::string known = known_model_file(options, server, plan);
  if (auto taken = take_model_facts(options.utilisation, known, plan.facts); !taken)
    return Unexpected<Error>(taken.error());
  plan.facts.insert(plan.facts.end(), asked->peak_facts.begin(), asked->peak_facts.end());
  plan.kept_peaks = words.empty() && !server && options.utilisation.no_peak();
  plan.facts.push_back({"prompts.source", prompts_source(options.prompts), "prony"});
  if (worker.warm_up_until) {
    plan.warm_up = std::make_shared<WarmUpWatch>(*worker.warm_up_until);
    worker.drift = [watch = plan.warm_up] { return watch->drift(); };
  }
  plan.workload = make_worker_workload(worker);
  return plan;
}

int llm(LlmOptions& options, const CommandWords& words) {
  auto plan = make_plan(options, words);
  if (!plan) {
    print_error(plan.error());
    return exit_code::own_failure;
  }
  return record(std::move(*plan)).exit_code;
}

// CLI11's own checks let NaN through and tell a limit in 309 digits.
CLI::Validator at_least(double least, double most = 1'000'000'000) {
  return {[least, most](std::string& text) {
            const auto value = parse_finite(text);
            if (value && *value >= least && *value <= most) return std::string();
            return "'" + printable(text, 40) + "' is not a number from " + format_number(least) + " to " +
                   format_number(most);
          },
          ""};
}

std::shared_ptr<LlmOptions> add_llm_options(CLI::App& command) {
  auto options = std::make_shared<LlmOptions>();
  LlmOptions& o = *options;
  Settings& settings = o.settings;
  const auto watch = [&](const char* name, CLI::Option* option, const std::string& default_text) {
    settings.watch(name, option, default_text);
    return option;
  };
  watch(
      "engine",
      command.add_option("--engine", o.engine, "llama (default), transformers, ollama, openai, … (prony help engines)")
          ->type_name("NAME"),
      "llama");
  watch("model",
        command
            .add_option("--model", o.prompts.models, "The model file (GGUF), or its name on a server; may be repeated")
            ->type_name("MODEL")
            ->expected(1)
            ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll),
        "");
  add_http_engine_options(command, o.http, settings);
  add_transformers_options(command, o.transformers, settings);
  add_prompt_options(command, o.prompts, settings);
  watch(
      "prompts",
      command
          .add_option("--prompts", o.prompts.source, "A file of many forms, - for standard input (prony help prompts)")
          ->type_name("FILE"),
      "");
  watch("max-tokens",
        command.add_option("--max-tokens", o.worker.max_tokens, "Most output tokens of a request (default 128)")
            ->check(at_least(1)),
        "128");
  watch("temperature",
        command.add_option("--temperature", o.worker.temperature, "0 is greedy (default)")->check(at_least(0)), "0");
  watch("top-k", command.add_option("--top-k", o.worker.top_k, "0 is off (default)")->check(at_least(0)), "0");
  watch("top-p", command.add_option("--top-p", o.worker.top_p, "1 is off (default)")->check(at_least(0, 1)), "1");
  watch("seed", command.add_option("--seed", o.worker.seed, "Of the sampler (default 1)"), "1");
  watch("threads",
        command.add_option("--threads", o.threads, "Of the engine (default: cores − 1; a server's own)")
            ->check(at_least(1)),
        std::to_string(default_threads()));
  watch("ctx",
        command.add_option("--ctx", o.context, "Context length (default: as the prompts need, or the model's)")
            ->check(at_least(1)),
        "");
  watch("repeat",
        command.add_option("--repeat", o.worker.repeat, "Ask the whole set so many times (default 1)")
            ->check(at_least(1)),
        "1");
  watch("warmup",
        command
            .add_option("--warmup", o.worker.warm_up,
                        "Before the first that counts (0); --warmup-until cv=5%: till steady")
            ->check(at_least(0)),
        "0");
  watch("warmup-until", command.add_option("--warmup-until", o.warm_up_until)->type_name("RULE")->group(""), "");
  watch("gap", command.add_option("--gap", o.gap, "Rest between prompts (default 0ms)")->type_name("DURATION"), "0ms");
  watch("timeout",
        command.add_option("--timeout", o.timeout, "For loading, and for each request (default 10m)")
            ->type_name("DURATION"),
        "10m");
  watch("ignore-eos",
        command.add_flag("--ignore-eos", o.worker.ignore_eos, "Go on to --max-tokens whatever the model says"),
        "false");
  watch("keep-output", command.add_flag("--keep-output", o.worker.keep_output, "Keep prompts and answers in the Run"),
        "false");
  add_utilisation_options(command, o.utilisation, settings);
  add_load_options(command, o.load, settings);
  add_record_options(command, o.record, settings);
  return options;
}

}  // namespace

std::function<int(const CommandWords&)> add_llm(CLI::App& command) {
  const auto options = add_llm_options(command);
  return [options](const CommandWords& words) {
    if (options->prompts.models.empty() && words.empty() && !is_http_engine(options->engine) &&
        options->settings.origin("model") == "default") {
      const char* from_environment = std::getenv("PRONY_MODEL");
      if (from_environment == nullptr && config_file(options->record).empty()) {
        print_error({ErrorCode::usage, "no model given", "--model",
                     "For a first try:  prony synth llama --params 15M -o tiny.gguf"});
        return exit_code::own_failure;
      }
    }
    return llm(*options, words);
  };
}

OptionCheck add_llm_check(CLI::App& command) {
  const auto options = add_llm_options(command);
  return [options, untouched = *options](const CommandWords& words) -> Result<void> {
    const auto asked = asked_of(*options, words);
    *options = untouched;  // the next line begins where this one did
    return asked ? Result<void>() : Unexpected<Error>(asked.error());
  };
}

}  // namespace prony::app
