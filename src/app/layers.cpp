// `prony layers`: what the layers of a network cost.
#include <CLI/CLI.hpp>

#include "app/common.hpp"
#include "app/layers_import.hpp"
#include "app/layers_measure.hpp"
#include "app/subcommand.hpp"

namespace prony::app {

std::function<int(const CommandWords&)> add_layers(CLI::App& command) {
  auto files = add_layer_files(command);
  auto measured = add_layer_measurement(command);
  command.require_subcommand(0, 1);
  return [files, measured](const CommandWords& worker) {
    if (const auto code = files()) return *code;
    if (const auto code = measured(worker)) return *code;
    return failed({ErrorCode::usage, "no network is named", "layers",
                   "prony layers MODEL.onnx; for a first try:  prony synth onnx --arch resnet18 -o resnet18.onnx"});
  };
}

}  // namespace prony::app
