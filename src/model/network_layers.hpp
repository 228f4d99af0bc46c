// A network as the list of its layers: what each computes and moves, in the order in which they are computed. The waist
// between what reads networks (ONNX, engine files, lists by hand) and what measures or predicts them. Plain values; any
// thread. Units: elements, bytes, and multiply-adds (MAC; 1 MAC = 2 FLOP). What is not known is absent, and the layer's
// `absent` says why. Shapes are as in the file: the first number changes slowest; a batch of images is N, C, H, W.
// Source: MACs of a convolution are N·Cout·Hout·Wout·(Cin/groups)·Kh·Kw (Dumoulin & Visin 2016, arXiv:1603.07285).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace prony {

enum class LayerKind : std::uint8_t {
  convolution,    // of any dimension, depthwise and transposed ones too
  dense,          // a matrix of weights: Gemm, MatMul with weights
  matmul,         // of two activations, as in attention
  pooling,        // with a window, or over everything
  normalisation,  // batch, layer, instance, group, local response
  activation,     // one number in, one number out: ReLU, sigmoid …
  elementwise,    // arithmetic of two or more tensors
  softmax,
  reduction,
  embedding,  // rows of a table
  movement,   // changes places, not numbers: concat, transpose, slice, pad; reshape moves nothing
  resize,
  recurrent,
  quantisation,
  control,  // If, Loop, Scan: its cost is that of what it holds, which has no rows of its own
  layout,   // what an engine inserts: reorder, reformat, copy
  unknown,
};
inline constexpr std::size_t layer_kind_count = 17;
[[nodiscard]] std::string_view to_string(LayerKind kind) noexcept;  // "convolution", …
[[nodiscard]] std::optional<LayerKind> layer_kind_from(std::string_view word) noexcept;

using LayerShape = std::vector<std::int64_t>;  // none below 0

struct NetworkLayer {
  std::string name;  // unique in its network
  std::string op;    // as the file has it: "Conv", "com.microsoft:FusedConv", "CaskConvolution"
  LayerKind kind = LayerKind::unknown;
  std::string dtype;                         // of what it computes with: "float32", "float16", "int8" …; "": not told
  std::vector<std::string> inputs, outputs;  // names of tensors, weights left out
  std::vector<LayerShape> input_shapes;   // of the activations, in the order of `inputs`; empty: a scalar, or not known
  std::vector<LayerShape> output_shapes;  // of `outputs`; empty: a scalar, or not known
  LayerShape weight_shape;                // of the kernel or matrix; empty: it has none

  // Of convolutions and poolings with a window, one number for each dimension of space; else empty.
  std::vector<std::int64_t> kernel, stride, dilation, pad_begin, pad_end;
  std::int64_t groups = 1;
  std::string activation;   // computed within the layer, as the file says ("Relu"); "": none
  std::string followed_by;  // the activation that alone reads what this layer makes: engines fuse it. "": none

  std::optional<double> macs;              // of one run of the layer
  std::optional<double> other_operations;  // those that are no multiply-add, each counted as one
  std::optional<double> bytes_read;        // activations and weights; each tensor once
  std::optional<double> bytes_written;
  double parameters = 0;    // learned numbers it uses; running means and variances are none
  double weight_bytes = 0;  // of all stored numbers that it uses, running means too
  std::string absent;       // why a figure is not there; "": all are

  [[nodiscard]] std::optional<double> flop() const {
    if (!macs) return std::nullopt;
    return 2 * *macs;
  }
  [[nodiscard]] std::optional<double> bytes_moved() const {
    if (!bytes_read || !bytes_written) return std::nullopt;
    return *bytes_read + *bytes_written;
  }
};

struct NetworkPort {  // an input or an output of the network
  std::string name, dtype;
  LayerShape shape;
};

struct NetworkLayers {
  std::string name;    // of the network, or of its file
  std::string source;  // "onnx", "tensorrt", "torch", "list" …
  std::vector<NetworkLayer> layers;
  std::vector<NetworkPort> inputs, outputs;
  double parameters = 0, weight_bytes = 0;  // what several layers share counts once
  double macs = 0, other_operations = 0;    // sums of what is known
  std::vector<std::string> unknown;         // operators nobody knows, each once: the sums are then lower bounds
  std::size_t unknown_layers = 0;           // layers of which a figure is not there
};

}  // namespace prony
