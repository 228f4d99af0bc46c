// Layers by name in the order in which they come, for readers whose rows are of many layers and many inferences.
// Errors: full (more than `most_layers`). Pure.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "layers/edgeprofiler.hpp"
#include "layers/recording.hpp"

namespace prony::layers {

class LayersByName {
 public:
  // The pointer holds until the next call.
  Result<LayerTimes*> at(const std::string& name, std::string_view type) {
    const auto [at, fresh] = places_.try_emplace(name, layers.size());
    if (fresh) {
      if (layers.size() >= most_layers) return fail(ErrorCode::full, "more than 100 000 layers");
      layers.emplace_back();
      layers.back().name = name;
      layers.back().type = type;
    }
    return &layers[at->second];
  }
  [[nodiscard]] bool has(const std::string& name) const { return places_.contains(name); }
  std::vector<LayerTimes> layers;

 private:
  std::unordered_map<std::string, std::size_t> places_;
};

}  // namespace prony::layers
