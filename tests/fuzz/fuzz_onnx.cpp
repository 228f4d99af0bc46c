// parts: complexity
// Any bytes as an ONNX file: an error, or a network whose figures are finite, not below zero, and a row for each node.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "complexity/onnx.hpp"

namespace {

void expect(const std::optional<double>& figure) {
  if (figure && (!(*figure >= 0) || std::isnan(*figure))) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace prony::complexity;
  const auto model = parse_onnx(std::as_bytes(std::span(data, size)));
  if (!model) return 0;
  expect(model->parameters());
  expect(model->weight_bytes());
  OnnxShapes shapes;
  for (const bool chosen : {false, true}) {
    if (chosen) {
      shapes.batch = 2;
      for (const OnnxPort& one : model->graph.inputs)
        if (one.shape)
          for (const OnnxDimension& part : *one.shape)
            if (!part.name.empty()) shapes.dimensions[part.name] = 3;
    }
    const auto network = layers_of(*model, shapes);
    if (!network) continue;
    if (network->layers.size() > model->graph.nodes.size()) std::abort();
    for (const prony::NetworkLayer& one : network->layers) {
      for (const auto& figure : {one.macs, one.other_operations, one.bytes_read, one.bytes_written}) expect(figure);
      if (one.absent.empty() && (!one.macs || !one.bytes_read || !one.bytes_written)) std::abort();
      for (const auto& shape : one.output_shapes)
        for (const std::int64_t part : shape)
          if (part < 0) std::abort();
    }
  }
  return 0;
}
