// `prony synth llama --params 15M --quant q8_0 --seed 1 -o F.gguf`
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "app/common.hpp"
#include "app/subcommand.hpp"
#include "base/text.hpp"
#include "synth/gguf_llama.hpp"

namespace prony::app {

namespace {

struct SynthCommand {
  std::string params = "15M";
  std::string quant = "q8_0";
  std::uint64_t seed = 1;
  std::uint32_t context = 2048;
  std::string out;
  bool force = false;
};

Result<SynthReport> synth_llama(const SynthCommand& command) {
  SynthOptions options;
  const auto parameters = parse_parameter_count(command.params);
  if (!parameters) return Unexpected<Error>(parameters.error());
  const auto quant = synth_quant_from(command.quant);
  if (!quant) return Unexpected<Error>(quant.error());
  options.parameters = *parameters;
  options.quant = *quant;
  options.seed = command.seed;
  options.context_length = command.context;
  options.replace = command.force;
  return write_synthetic_llama(options, command.out);
}

int run_synth_llama(const SynthCommand& command) {
  const auto report = synth_llama(command);
  if (!report) {
    print_error(report.error());
    return exit_code::own_failure;
  }
  std::printf("%s: %s, %s parameters, %s, %s MB, seed %s\n", command.out.c_str(), report->name.c_str(),
              std::to_string(report->parameters).c_str(), command.quant.c_str(),
              format_fixed(static_cast<double>(report->bytes) * 1e-6, 1).c_str(), std::to_string(command.seed).c_str());
  return exit_code::ok;
}

}  // namespace

std::function<int(const CommandWords&)> add_synth(CLI::App& command) {
  auto options = std::make_shared<SynthCommand>();
  CLI::App* llama = command.add_subcommand("llama", "A llama-architecture GGUF with a working tokenizer");
  llama->add_option("--params", options->params, "About so many parameters: 160k, 15M, 1.1B (default 15M)")
      ->type_name("COUNT");
  llama->add_option("--quant", options->quant, "f16, q8_0, q4_0 or f32 (default q8_0)")->type_name("TYPE");
  llama->add_option("--seed", options->seed, "The same seed gives the same bytes everywhere (default 1)");
  llama->add_option("--ctx", options->context, "Context length that the model states (default 2048)");
  llama->add_option("-o,--out", options->out, "The file to write")->required()->type_name("FILE");
  llama->add_flag("--force", options->force, "Overwrite the file if it exists");
  command.require_subcommand(1);
  return [options](const CommandWords&) { return run_synth_llama(*options); };
}

}  // namespace prony::app
