// Where prediction meets the disk: data sets (folders with dataset.json, EdgeProfiler's training folders, one CSV),
// networks (JSON or CSV), predictors. Errors: those of reading; malformed (a file whose sum is another than the
// manifest's).
#pragma once

#include <string>

#include "base/result.hpp"
#include "predict/predictor.hpp"

namespace prony::app {

[[nodiscard]] Result<predict::Dataset> load_dataset(const std::string& path);
[[nodiscard]] Result<predict::NetworkToPredict> load_network(const std::string& path);
[[nodiscard]] Result<predict::Predictor> load_predictor(const std::string& path);

}  // namespace prony::app
