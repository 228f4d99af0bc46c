// Layers as an engine on a processor computes them. What it folds into a neighbour takes no time of its own: a
// normalisation behind a convolution, an activation, the sum that ends a residual block, a bias, a scale. Networks that
// were measured and networks that nobody ran are fused by the same rules, so that a layer means the same in both. Pure;
// any thread. Units: as of Layer. Source: the fusions that ONNX Runtime 1.30 makes for its CPU provider at its highest
// level (ConvBN, ConvActivation, ConvAdd, NCHWc sums and normalisations, GemmActivation, MatMulScale, QuickGelu, Gelu,
// SkipLayerNorm).
#pragma once

#include <cstddef>
#include <vector>

#include "model/network_layers.hpp"
#include "predict/layer.hpp"

namespace prony::predict {

struct FusedLayer {
  Layer layer;                      // named after what it computes most of
  std::vector<std::size_t> covers;  // places in NetworkLayers::layers, in their order; each is covered once
};
[[nodiscard]] std::vector<FusedLayer> fused_layers(const NetworkLayers& network);
// The same as a network to predict; a remark tells how many nodes were folded.
[[nodiscard]] NetworkToPredict fused_network(const NetworkLayers& network);

}  // namespace prony::predict
