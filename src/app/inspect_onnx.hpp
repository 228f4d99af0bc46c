// `prony inspect FILE.onnx`: nodes by kind, parameters, multiply-adds and bytes of one run at given shapes, as text and
// as JSON. Pure but for reading the file's head. Thread promise: one thread. Errors: as of complexity/onnx.hpp; usage
// (a dynamic dimension of which nobody said the size).
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/network_layers.hpp"

namespace prony::app {

struct OnnxInspected {
  std::string source;
  double file_bytes = 0;
  std::string producer;
  double opset = 0;
  NetworkLayers network;
};
// `shapes`: "1x3x224x224", "input:1x3x224x224", "batch=4".
[[nodiscard]] Result<OnnxInspected> read_onnx_network(const std::string& path, const std::vector<std::string>& shapes);

struct NetworkPeaks {
  std::optional<double> flop_per_s, bytes_per_s;  // both, or none
  std::string source;                             // empty: the user gave them
};
[[nodiscard]] std::string onnx_text(const OnnxInspected& inspected, const NetworkPeaks& peaks, std::size_t width,
                                    bool colour);
[[nodiscard]] nlohmann::ordered_json onnx_json(const OnnxInspected& inspected, const NetworkPeaks& peaks);

}  // namespace prony::app
