// Recordings of layers by path, whichever tool wrote them: what kind each file is, and what those that are given
// together say of one network. Errors name the file. Thread promise: one thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "layers/edgeprofiler.hpp"
#include "layers/features.hpp"
#include "layers/other_files.hpp"
#include "layers/recording.hpp"
#include "layers/tensorrt.hpp"

namespace prony::app {

struct LayerFile {
  std::string path;
  layers::FileKind kind = layers::FileKind::unknown;
  layers::Recording recording;  // what of it can be told in rows and figures
  std::optional<layers::Engine> engine;
  std::optional<layers::Mapping> mapping;
  std::optional<layers::Benchmark> benchmark;
  std::optional<layers::IdlePower> idle;
};
[[nodiscard]] Result<LayerFile> read_layer_file(const std::string& path);
[[nodiscard]] Result<layers::Engine> read_engine_file(const std::string& path);

// Layers of the first file that has their times, types and shapes of the engine, end-to-end times of a benchmark.
[[nodiscard]] layers::Recording together(const std::vector<LayerFile>& files);

}  // namespace prony::app
