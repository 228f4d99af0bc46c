// `prony inspect FILE|FOLDER|ollama:NAME`: what a model is and what computing with it costs, from its files' heads.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/common.hpp"
#include "app/inspect_onnx.hpp"
#include "app/inspect_report.hpp"
#include "app/kept.hpp"
#include "app/machine_peaks.hpp"
#include "app/model_source.hpp"
#include "app/subcommand.hpp"
#include "app/write_file.hpp"
#include "base/text.hpp"

namespace prony::app {

namespace {

constexpr double most_tokens = 10'000'000, most_sequences = 1'000'000;

struct InspectOptions {
  std::string model;
  bool json = false;
  double prompt_tokens = 512, output_tokens = 128, batch = 1;
  std::string cache_type = "f16", peak_flops, peak_bandwidth;
  std::vector<std::string> shapes;
  bool measure = false, forget = false;
  std::int32_t threads = 0;
};

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
  if (options.peak_flops.empty() != options.peak_bandwidth.empty())
    return fail(ErrorCode::usage, "--peak-flops and --peak-bandwidth belong together: either may be what limits");
  if (options.peak_flops.empty()) return question;
  const auto peak = rate_setting(options.peak_flops, "--peak-flops", "FLOP/s");
  if (!peak) return Unexpected<Error>(peak.error());
  const auto bandwidth = rate_setting(options.peak_bandwidth, "--peak-bandwidth", "B/s");
  if (!bandwidth) return Unexpected<Error>(bandwidth.error());
  question.peak_flop_per_s = *peak;
  question.memory_bytes_per_s = *bandwidth;
  return question;
}

// Peaks that were measured here before are used where none are given; those of other machines must be given.
void use_kept_peaks(InspectQuestion& question) {
  if (question.peak_flop_per_s) return;
  auto machine = open_machine({});
  if (!machine) return;
  const auto peaks = kept_peaks(facts_for_kept(**machine, {}));
  if (!peaks) {
    if (peaks.error().code != ErrorCode::absent) print_note(error_text(peaks.error()));
    return;
  }
  question.peak_flop_per_s = peaks->flop.best;
  question.memory_bytes_per_s = peaks->bytes_per_s();
  question.peak_source = calibrate::words_of(*peaks);
}

int inspect_network(const InspectOptions& options, const InspectQuestion& question) {
  const auto network = read_onnx_network(options.model, options.shapes);
  if (!network) return failed(network.error());
  const NetworkPeaks peaks{question.peak_flop_per_s, question.memory_bytes_per_s, question.peak_source};
  if (options.json)
    return print_result(onnx_json(*network, peaks).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) +
                        "\n");
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  return print_result(onnx_text(*network, peaks, terminal.width, terminal.colour));
}

int inspect(const InspectOptions& options) {
  if (options.measure || options.forget) {
    if (!options.model.empty() || (options.measure && options.forget))
      return failed({ErrorCode::usage, "--measure-machine and --forget-machine stand alone, without a model", {}, {}});
    return options.forget ? forget_machine() : measure_machine({options.threads, options.json});
  }
  if (options.model.empty())
    return failed(
        {ErrorCode::usage, "no model given", {}, "A GGUF file, a folder, or ollama:NAME:  prony inspect M.gguf"});
  auto question = question_of(options);
  if (!question) return failed(question.error());
  if (options.model.ends_with(".onnx")) {
    use_kept_peaks(*question);
    return inspect_network(options, *question);
  }
  if (!options.shapes.empty())
    return failed({ErrorCode::usage, "shapes are asked for of ONNX files only", "--shape", ""});
  auto named = read_named_model(options.model);
  if (!named) return failed(named.error());
  use_kept_peaks(*question);
  const Inspected inspected{options.model, std::move(named->model), std::move(named->beside)};
  if (options.json)  // names in files may be no UTF-8
    return print_result(
        inspect_json(inspected, *question).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  return print_result(inspect_text(inspected, *question, terminal.width, terminal.colour));
}

}  // namespace

std::function<int(const CommandWords&)> add_inspect(CLI::App& command) {
  auto options = std::make_shared<InspectOptions>();
  command.add_option("MODEL", options->model, "A GGUF or ONNX file, a folder of Hugging Face's, or ollama:NAME");
  command.add_flag("--json", options->json, "The same as JSON");
  command.add_option("--prompt-tokens", options->prompt_tokens, "Length of the prompt (default 512)")->type_name("N");
  command.add_option("--output-tokens", options->output_tokens, "Length of the answer (default 128)")->type_name("N");
  command.add_option("--batch", options->batch, "Requests that are answered together (default 1)")->type_name("N");
  command.add_option("--cache-type", options->cache_type, "Numbers in the KV cache: f16, q8_0, … (default f16)")
      ->type_name("TYPE");
  command.add_option("--peak-flops", options->peak_flops, "What the machine computes at most: 312T; gives a ceiling")
      ->type_name("RATE");
  command.add_option("--peak-bandwidth", options->peak_bandwidth, "What its memory reads at most: 2.04TB/s")
      ->type_name("RATE");
  command.add_option("--shape", options->shapes, "Of ONNX: what is not fixed: 1x3x224x224, NAME:1x3x224x224, batch=4")
      ->type_name("SHAPE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_flag("--measure-machine", options->measure,
                   "Measure these two here (10 s) and keep them for inspect and llm");
  command.add_option("--threads", options->threads, "Of --measure-machine (default: one on each CPU)")
      ->check(CLI::Range(1, 4096).description(""));
  command.add_flag("--forget-machine", options->forget, "Keep none");
  return [options](const CommandWords&) { return inspect(*options); };
}

}  // namespace prony::app
