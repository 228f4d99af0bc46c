#include "app/transformers_engine.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "app/ask_program.hpp"
#include "app/beside.hpp"
#include "base/text.hpp"

namespace prony::app {

namespace {

constexpr std::string_view packed_worker = "prony-engine-transformers";

struct Choice {
  const char* name;
  const std::string& value;
  std::vector<std::string_view> words;
};

Result<void> check_choice(const Choice& choice) {
  if (std::ranges::find(choice.words, choice.value) != choice.words.end()) return {};
  std::string there;
  for (const std::string_view word : choice.words) there += (there.empty() ? "" : ", ") + std::string(word);
  return fail(ErrorCode::usage, "'" + printable(choice.value, 40) + "' is none of " + there,
              "--" + std::string(choice.name));
}

// The interpreter as it can be run: a path as it is, a name as PATH has it.
Result<std::string> interpreter(const TransformersOptions& options) {
  std::string name = options.python;
  if (const char* variable = std::getenv("PRONY_PYTHON"); name.empty() && variable != nullptr) name = variable;
  if (name.empty()) name = "python3";
  if (name.find('/') != std::string::npos) return name;
  if (const auto found = find_beside_or_in_path(name)) return *found;
  return fail(ErrorCode::absent, "there is no Python of this name", name,
              "Name one that has PyTorch:  --python /path/to/python3");
}

}  // namespace

void add_transformers_options(CLI::App& command, TransformersOptions& o, Settings& settings) {
  const auto rare = [&](CLI::Option* option, const char* name, const char* otherwise) {
    option->group("");
    settings.watch(name, option, otherwise);
  };
  rare(command.add_option("--python", o.python), "python", "");
  rare(command.add_option("--dtype", o.dtype), "dtype", "auto");
  rare(command.add_option("--quantisation", o.quantisation), "quantisation", "none");
  rare(command.add_option("--device", o.device), "device", "auto");
  rare(command.add_option("--attention", o.attention), "attention", "auto");
  rare(command.add_option("--ranks", o.ranks)->check(CLI::Range(1, 1024)), "ranks", "1");
  rare(command.add_flag("--random-weights", o.random_weights), "random-weights", "false");
}

std::vector<std::string> transformers_config_keys() {
  return {"python", "dtype", "quantisation", "device", "attention", "ranks", "random-weights"};
}

std::string transformers_help_text() {
  return "\nOf transformers (--model is a folder with config.json, weights and a tokeniser; nothing is fetched)\n\n"
         "  --python PROGRAM      An interpreter with torch and transformers; default: PRONY_PYTHON, else python3\n"
         "  --dtype FORMAT        auto (as the files have it), float32, float16, bfloat16\n"
         "  --quantisation HOW    none, 8bit, 4bit, nf4: by bitsandbytes, where it is installed\n"
         "  --device WHERE        auto, cpu, cuda\n"
         "  --attention HOW       auto, eager, sdpa, flash_attention_2\n"
         "  --ranks N             Replicas on this host; --batching gives each its share of the prompts\n"
         "  --random-weights      For a folder with a config.json and no weights: real work, meaningless text\n";
}

std::string asked_of_transformers(const TransformersOptions& o) {
  const TransformersOptions none;
  for (const auto& [name, asked] :
       std::initializer_list<std::pair<const char*, bool>>{{"--python", o.python != none.python},
                                                           {"--dtype", o.dtype != none.dtype},
                                                           {"--quantisation", o.quantisation != none.quantisation},
                                                           {"--device", o.device != none.device},
                                                           {"--attention", o.attention != none.attention},
                                                           {"--ranks", o.ranks != none.ranks},
                                                           {"--random-weights", o.random_weights}})
    if (asked) return name;
  return {};
}

Result<void> check_transformers(const TransformersOptions& options) {
  for (const Choice& choice : {Choice{"dtype", options.dtype, {"auto", "float32", "float16", "bfloat16"}},
                               Choice{"quantisation", options.quantisation, {"none", "8bit", "4bit", "nf4"}},
                               Choice{"device", options.device, {"auto", "cpu", "cuda"}},
                               Choice{"attention", options.attention, {"auto", "eager", "sdpa", "flash_attention_2"}}})
    if (auto fine = check_choice(choice); !fine) return fine;
  return {};
}

Result<std::vector<std::string>> transformers_command(const TransformersOptions& options) {
  if (auto fine = check_transformers(options); !fine) return Unexpected<Error>(fine.error());
  const auto worker = find_beside_or_in_path(packed_worker);
  if (!worker)
    return fail(ErrorCode::absent, "the worker of this engine is not installed", std::string(packed_worker),
                "It is packed and installed beside prony:  make build");
  const auto python = interpreter(options);
  if (!python) return Unexpected<Error>(python.error());
  const auto text = ask_program({*python, *worker, "--check"}, std::chrono::seconds(40));
  if (!text) return Unexpected<Error>(text.error());
  const auto told = nlohmann::json::parse(*text, nullptr, false);
  if (!told.is_object() || !told.contains("missing") || !told["missing"].is_array())
    return fail(ErrorCode::unavailable, "this is no Python that the worker runs on (3.8 or newer)", *python,
                "Name another:  --python /path/to/python3");
  std::string lacks;
  for (const auto& name : told["missing"])
    if (name.is_string()) lacks += (lacks.empty() ? "" : " ") + printable(name.get<std::string>(), 40);
  if (!lacks.empty())
    return fail(ErrorCode::absent, "this Python lacks " + lacks, *python,
                "Install there:  " + *python + " -m pip install " + lacks + "   or name another:  --python PROGRAM");
  std::vector<std::string> command = {*python, *worker};
  const auto add = [&](const char* name, const std::string& value, std::string_view otherwise) {
    if (value != otherwise) command.insert(command.end(), {name, value});
  };
  add("--dtype", options.dtype, "auto");
  add("--quantisation", options.quantisation, "none");
  add("--device", options.device, "auto");
  add("--attention", options.attention, "auto");
  add("--ranks", std::to_string(options.ranks), "1");
  if (options.random_weights) command.emplace_back("--random-weights");
  return command;
}

}  // namespace prony::app
