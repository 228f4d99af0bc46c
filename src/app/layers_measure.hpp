// `prony layers MODEL.onnx`: a network run by ONNX Runtime in its own worker, time per layer and energy per frame. Adds
// its options to `command`; what it returns measures if a model (or a Run of layers, to show it again) was named, and
// gives the exit code; absent: neither was.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "app/subcommand.hpp"

namespace prony::app {

[[nodiscard]] std::string layer_options_text();  // the page of those that --help only names
[[nodiscard]] std::function<std::optional<int>(const CommandWords&)> add_layer_measurement(CLI::App& command);

}  // namespace prony::app
