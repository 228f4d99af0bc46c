// `prony layers import` and `prony layers map`: recordings of layers that other tools made. Added to whatever
// `prony layers` is; the function that is returned runs the one that was asked for, and says nothing if none was.
#pragma once

#include <functional>
#include <optional>

namespace CLI {
class App;
}

namespace prony::app {

[[nodiscard]] std::function<std::optional<int>()> add_layer_files(CLI::App& layers);

}  // namespace prony::app
