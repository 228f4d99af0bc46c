// A part of an ONNX file as a file of its own: some of its nodes, with the weights that they use, so that a layer can
// be run alone. Bytes of nodes and weights are taken over as they are. Thread promise: any thread, no shared state.
// Errors: malformed (no ONNX, cut off), full (beyond the bounds of onnx.hpp, or larger than the 2 GiB such a file may
// have), usage (a node that is not there, a tensor of which nobody told the type; weights in files of their own).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "complexity/onnx.hpp"

namespace prony::complexity {

struct OnnxTensorFacts {
  std::int32_t type = 0;  // ONNX's number of the element type
  LayerShape shape;
};
using OnnxTensors = std::map<std::string, OnnxTensorFacts, std::less<>>;

struct OnnxCut {
  std::vector<std::size_t> nodes;  // places in the graph, rising
  std::size_t copies = 1;          // the nodes so many times side by side, on the same inputs: one run is then longer
};

// Tensors that these nodes read from others: neither made by them nor weights.
[[nodiscard]] std::vector<std::string> inputs_of_cut(const OnnxGraph& graph, const std::vector<std::size_t>& nodes);

// The file's bytes. Its inputs are those of the cut, with type and shape as `tensors` has them; its outputs what others
// read of the first copy, or the graph's own outputs, or, where nobody reads anything, those of the last node.
[[nodiscard]] Result<std::string> cut_onnx(const std::string& path, const OnnxModel& model, const OnnxCut& cut,
                                           const OnnxTensors& tensors);

// The same model with the output of every node among its outputs, without types: whoever runs it tells what they are.
[[nodiscard]] Result<std::string> onnx_with_all_outputs(const std::string& path, const OnnxModel& model);

}  // namespace prony::complexity
