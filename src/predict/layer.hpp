// A layer as prediction sees it: what it is and what it must compute and move, in numbers that every source of networks
// can give (a data set's row, an engine's file, a list by hand). Absent is NaN inside this part only; readers refuse
// NaN and writers leave the cell empty. Units: elements, multiply-adds (1 MAC = 2 FLOP), bytes, hertz. Plain values;
// any thread. Source: MACs of a convolution are N·Cout·Hout·Wout·(Cin/groups)·Kh·Kw (Dumoulin & Visin 2016).
#pragma once

#include <array>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "model/network_layers.hpp"

namespace prony::predict {

inline constexpr double absent = std::numeric_limits<double>::quiet_NaN();

struct Layer {
  std::string name;
  std::string kind;  // "convolution", "dense", "pooling" … as LayerKind spells them
  double batch = 1;
  std::array<double, 3> in{1, 1, 1}, out{1, 1, 1};                                  // channels, height, width
  std::array<double, 2> kernel{1, 1}, stride{1, 1}, padding{0, 0}, dilation{1, 1};  // padding: begin and end together
  double groups = 1;
  std::string dtype = "float32";
  std::string activation;
  double macs = absent, other_operations = absent;
  double bytes_read = absent;  // activations
  double bytes_weights = absent;
  double bytes_written = absent;
  double clock_hz = absent, threads = absent;
  std::string
      unknown;  // why its sizes or its work are not known: the numbers above are then no measure of it. "": they are

  [[nodiscard]] double flop() const noexcept;   // 2·MACs and the other operations
  [[nodiscard]] double bytes() const noexcept;  // all that is moved
};

[[nodiscard]] double bytes_of_dtype(std::string_view dtype) noexcept;  // 4 where nobody told
// Fills in what is absent and follows from the shapes: MACs, operations, bytes.
void complete(Layer& layer);
// What is wrong with the groups of a convolution: they must divide its channels. "": nothing.
[[nodiscard]] std::string odd_groups(const Layer& layer);
// Whether multiply-adds of this kind are none, or follow from its sizes; of others they must be told.
[[nodiscard]] bool work_follows_from_sizes(std::string_view kind) noexcept;
// Why no model can use it: what is not known of it, a number that is not finite, below 0, or a size of 0. "": it can.
[[nodiscard]] std::string why_unusable(const Layer& layer);
// A layer of a network as its reader tells it.
[[nodiscard]] Layer layer_from(const NetworkLayer& layer);
// A pooling's window where nobody tells it, as large as its step must be.
[[nodiscard]] std::array<double, 2> window_between(const Layer& layer);

struct NetworkToPredict {
  std::string name, source;
  std::vector<Layer> layers;
  std::vector<std::string> remarks;  // what was assumed or could not be read; layers concerned are named
};
[[nodiscard]] NetworkToPredict network_from(const NetworkLayers& network);

// --- what models are given --------------------------------------------------------------------------------------
// Of non-negative least squares: 1 (a launch), FLOP (all; beside, those of 1 × 1, of groups, of depthwise ones, of a
// network's first layer, and those that blocks of channels and tiles of a row compute in vain), bytes read, of weights,
// of weights once for each image, and written. FLOP are divided by the threads that share them.
inline constexpr int roofline_columns = 12;
[[nodiscard]] std::array<double, roofline_columns> roofline_of(const Layer& layer);
// Of trees and Gaussian processes: logarithms of sizes and costs.
[[nodiscard]] const std::vector<std::string>& feature_names();
[[nodiscard]] std::vector<double> features_of(const Layer& layer);
// A feature in the words of who reads of it: 3.5 of "log2 batch" is "batch 11.3".
[[nodiscard]] std::string feature_in_words(std::size_t feature, double value);

}  // namespace prony::predict
