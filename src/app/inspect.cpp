// `prony inspect FILE|FOLDER|ollama:NAME`: what a model is and what computing with it costs, from its files' heads.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/common.hpp"
#include "app/inspect_report.hpp"
#include "app/subcommand.hpp"
#include "app/write_file.hpp"
#include "base/text.hpp"
#include "complexity/ollama_store.hpp"

namespace prony::app {

namespace {

constexpr double most_tokens = 10'000'000, most_sequences = 1'000'000;
constexpr std::string_view ollama_prefix = "ollama:";

struct InspectOptions {
  std::string model;
  bool json = false;
  double prompt_tokens = 512, output_tokens = 128, batch = 1;
  std::string cache_type = "f16", peak_flops, memory_bandwidth;
};

// "312T", "312TFLOP/s", "2.04TB/s" → per second.
Result<double> rate_setting(const std::string& text, std::string_view option, std::string_view unit) {
  constexpr std::string_view prefixes = "kMGTPE";
  std::string_view number = trim(text);
  if (number.ends_with(unit)) number.remove_suffix(unit.size());
  double factor = 1;
  if (!number.empty())
    if (const std::size_t prefix = prefixes.find(number.back()); prefix != std::string_view::npos) {
      for (std::size_t i = 0; i <= prefix; ++i) factor *= 1000;
      number.remove_suffix(1);
    }
  const auto value = parse_finite(number);
  if (!value || !(*value * factor >= 1) || *value * factor > 1e24)
    return fail(ErrorCode::usage, "'" + printable(text, 40) + "' is no rate", std::string(option),
                "Write it like 312T or 312T" + std::string(unit) + "; k, M, G, T, P and E are powers of 1000.");
  return *value * factor;
}

Result<InspectQuestion> question_of(const InspectOptions& options) {
  InspectQuestion question;
  const auto whole = [](double value, double most) {
    return value >= 1 && value <= most && value == std::floor(value);
  };
  if (!whole(options.prompt_tokens, most_tokens) || !whole(options.output_tokens, most_tokens))
    return fail(ErrorCode::usage, "--prompt-tokens and --output-tokens are whole numbers from 1 to 10 000 000");
  if (!whole(options.batch, most_sequences))
    return fail(ErrorCode::usage, "--batch is a whole number from 1 to 1 000 000");
  question.prompt_tokens = options.prompt_tokens;
  question.output_tokens = options.output_tokens;
  question.sequences = options.batch;
  const auto cache = complexity::cache_bytes_per_number(options.cache_type);
  if (!cache)
    return fail(ErrorCode::usage, "no type of a cache is called '" + printable(options.cache_type, 40) + "'",
                "--cache-type", "f16, f32, bf16, q8_0, q5_1, q4_0 and others of GGUF are.");
  question.cache_type = options.cache_type;
  question.cache_bytes_per_number = *cache;
  if (options.peak_flops.empty() != options.memory_bandwidth.empty())
    return fail(ErrorCode::usage, "--peak-flops and --memory-bandwidth belong together: either may be what limits");
  if (options.peak_flops.empty()) return question;
  const auto peak = rate_setting(options.peak_flops, "--peak-flops", "FLOP/s");
  if (!peak) return Unexpected<Error>(peak.error());
  const auto bandwidth = rate_setting(options.memory_bandwidth, "--memory-bandwidth", "B/s");
  if (!bandwidth) return Unexpected<Error>(bandwidth.error());
  question.peak_flop_per_s = *peak;
  question.memory_bytes_per_s = *bandwidth;
  return question;
}

// Where Ollama keeps its models: what it was told, the user's folder, that of the service.
std::vector<std::string> ollama_stores() {
  if (const char* told = std::getenv("OLLAMA_MODELS"); told != nullptr && *told != '\0') return {told};
  std::vector<std::string> stores;
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    stores.push_back(std::string(home) + "/.ollama/models");
  stores.emplace_back("/usr/share/ollama/.ollama/models");
  return stores;
}

Result<complexity::OllamaModel> find_in_stores(std::string_view name) {
  const std::vector<std::string> stores = ollama_stores();
  auto first = complexity::find_ollama_model(stores.front(), name);
  if (first || first.error().code != ErrorCode::absent) return first;
  for (std::size_t i = 1; i < stores.size(); ++i)
    if (auto other = complexity::find_ollama_model(stores[i], name); other || other.error().code != ErrorCode::absent)
      return other;
  return first;
}

Result<Inspected> inspected_model(const std::string& source) {
  Inspected inspected{source, {}, {}};
  if (source.starts_with(ollama_prefix)) {
    auto found = find_in_stores(std::string_view(source).substr(ollama_prefix.size()));
    if (!found) return Unexpected<Error>(found.error());
    auto files = found->weights.size() == 1 ? complexity::read_gguf_files(found->weights.front())
                                            : complexity::read_gguf_files(found->weights);
    if (!files) return Unexpected<Error>(files.error());
    inspected.model = complexity::model_of(std::move(*files));
    inspected.beside = std::move(found->beside);
    return inspected;
  }
  auto model = complexity::read_model(source);
  if (!model) return Unexpected<Error>(model.error());
  inspected.model = std::move(*model);
  return inspected;
}

int inspect(const InspectOptions& options) {
  const auto question = question_of(options);
  if (!question) return failed(question.error());
  const auto inspected = inspected_model(options.model);
  if (!inspected) return failed(inspected.error());
  if (options.json)  // names in files may be no UTF-8
    return print_result(
        inspect_json(*inspected, *question).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  return print_result(inspect_text(*inspected, *question, terminal.width, terminal.colour));
}

}  // namespace

std::function<int(const CommandWords&)> add_inspect(CLI::App& command) {
  auto options = std::make_shared<InspectOptions>();
  command
      .add_option("MODEL", options->model,
                  "A GGUF file (any one of several), a folder with config.json and safetensors, or ollama:NAME")
      ->required();
  command.add_flag("--json", options->json, "The same as JSON");
  command.add_option("--prompt-tokens", options->prompt_tokens, "Length of the prompt (default 512)")->type_name("N");
  command.add_option("--output-tokens", options->output_tokens, "Length of the answer (default 128)")->type_name("N");
  command.add_option("--batch", options->batch, "Requests that are answered together (default 1)")->type_name("N");
  command.add_option("--cache-type", options->cache_type, "Numbers in the KV cache: f16, q8_0, … (default f16)")
      ->type_name("TYPE");
  command.add_option("--peak-flops", options->peak_flops, "What the machine computes at most: 312T; gives a ceiling")
      ->type_name("RATE");
  command.add_option("--memory-bandwidth", options->memory_bandwidth, "What its memory reads at most: 2.04TB/s")
      ->type_name("RATE");
  return [options](const CommandWords&) { return inspect(*options); };
}

}  // namespace prony::app
