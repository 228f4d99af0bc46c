#include "model/network_layers.hpp"

#include <array>

namespace prony {

namespace {

constexpr std::array<std::string_view, layer_kind_count> layer_words{
    "convolution", "dense",        "matmul",    "pooling",   "normalisation", "activation",
    "elementwise", "softmax",      "reduction", "embedding", "movement",      "resize",
    "recurrent",   "quantisation", "control",   "layout",    "unknown"};

}  // namespace

std::string_view to_string(LayerKind kind) noexcept {
  const auto place = static_cast<std::size_t>(kind);
  return place < layer_words.size() ? layer_words[place] : layer_words.back();
}

std::optional<LayerKind> layer_kind_from(std::string_view word) noexcept {
  for (std::size_t i = 0; i < layer_words.size(); ++i)
    if (layer_words[i] == word) return static_cast<LayerKind>(i);
  return std::nullopt;
}

}  // namespace prony
