// Where prediction meets the disk: data sets (folders with dataset.json, EdgeProfiler's training folders, one CSV),
// networks (ONNX, JSON or CSV), predictors. Errors: those of reading; malformed (a file whose sum is another than the
// manifest's); usage (a dimension that an ONNX file leaves open and nobody told).
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "predict/predictor.hpp"

namespace prony::app {

[[nodiscard]] Result<predict::Dataset> load_dataset(const std::string& path);
// Of ONNX files: shapes of inputs in words ("batch=4", "input:1x3x224x224"); `batch` is taken where the file leaves it
// open, 0 where nobody told one. Weights are not read.
struct NetworkShapes {
  std::vector<std::string> words;
  double batch = 0;
};
[[nodiscard]] Result<predict::NetworkToPredict> load_network(const std::string& path, const NetworkShapes& shapes = {});
[[nodiscard]] Result<predict::Predictor> load_predictor(const std::string& path);

}  // namespace prony::app
