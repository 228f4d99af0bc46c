// `prony layers`: what the layers of a network cost.
#include <CLI/CLI.hpp>

#include "app/common.hpp"
#include "app/layers_measure.hpp"
#include "app/subcommand.hpp"

namespace prony::app {

std::function<int(const CommandWords&)> add_layers(CLI::App& command) {
  auto measured = add_layer_measurement(command);
  return [measured](const CommandWords& worker) {
    if (const auto code = measured(worker)) return *code;
    return failed({ErrorCode::usage, "no network is named", "layers",
                   "prony layers MODEL.onnx; for a first try:  prony synth onnx --arch resnet18 -o resnet18.onnx"});
  };
}

}  // namespace prony::app
