// `prony synth llama --params 15M --quant q8_0 --seed 1 -o F.gguf` and `prony synth onnx --arch resnet18 -o F.onnx`
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "app/common.hpp"
#include "app/subcommand.hpp"
#include "base/text.hpp"
#include "synth/gguf_llama.hpp"
#include "synth/onnx_networks.hpp"

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

struct SynthOnnxCommand {
  OnnxNetworkOptions options;
  std::string out;
  bool list = false;
};

int list_networks() {
  for (const OnnxNetwork& one : onnx_networks())
    std::printf("%-20s %s\n", std::string(one.name).c_str(), std::string(one.help).c_str());
  return exit_code::ok;
}

int run_synth_onnx(const SynthOnnxCommand& command) {
  if (command.list) return list_networks();
  if (command.options.architecture.empty() || command.out.empty()) {
    print_error({ErrorCode::usage, "an architecture and a file are needed", "synth onnx",
                 "prony synth onnx --arch resnet18 -o resnet18.onnx; --list shows the architectures."});
    return exit_code::own_failure;
  }
  const auto report = write_onnx_network(command.options, command.out);
  if (!report) {
    print_error(report.error());
    return exit_code::own_failure;
  }
  const std::string batch = command.options.dynamic_batch ? "any" : std::to_string(command.options.batch);
  std::printf("%s: %s, %s parameters, %zu nodes, batch %s, resolution %s, %s MB, seed %s\n", command.out.c_str(),
              command.options.architecture.c_str(), std::to_string(report->parameters).c_str(), report->nodes,
              batch.c_str(), std::to_string(report->resolution).c_str(),
              format_fixed(static_cast<double>(report->bytes) * 1e-6, 1).c_str(),
              std::to_string(command.options.seed).c_str());
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
  auto network = std::make_shared<SynthOnnxCommand>();
  CLI::App* onnx = command.add_subcommand("onnx", "A real architecture as an ONNX file with random weights");
  onnx->add_option("--arch", network->options.architecture, "alexnet, resnet18, mobilenet_v2 …; --list shows all")
      ->type_name("NAME");
  onnx->add_option("--batch", network->options.batch, "Inputs at once (default 1)")->type_name("N");
  onnx->add_flag("--dynamic-batch", network->options.dynamic_batch, "Leave the batch open: a dimension called batch");
  onnx->add_option("--resolution", network->options.resolution,
                   "Pixels a side, or tokens of BERT (default: the published one)")
      ->check(CLI::Range(1, 16'384).description(""))
      ->type_name("N");
  onnx->add_option("--classes", network->options.classes, "Classes told apart (default: as published)")
      ->check(CLI::Range(1, 1'000'000).description(""))
      ->type_name("N");
  onnx->add_option("--width", network->options.width, "Times as many channels, in steps of 8 (default 1)")
      ->type_name("FACTOR");
  onnx->add_option("--seed", network->options.seed, "The same seed gives the same bytes everywhere (default 1)");
  onnx->add_option("-o,--out", network->out, "The file to write")->type_name("FILE");
  onnx->add_flag("--force", network->options.replace, "Overwrite the file if it exists");
  onnx->add_flag("--list", network->list, "Show the architectures and end");
  command.require_subcommand(1);
  return [options, network, onnx](const CommandWords&) {
    return onnx->parsed() ? run_synth_onnx(*network) : run_synth_llama(*options);
  };
}

}  // namespace prony::app
