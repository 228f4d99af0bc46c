// Any model on disk, whatever its format: what its files say that it is. No weight is read. Any thread. Errors: as of
// the formats; absent and malformed where it is neither of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "complexity/gguf_files.hpp"
#include "complexity/model_shape.hpp"

namespace prony::complexity {

struct ModelFiles {
  std::string format;  // "GGUF", "safetensors"
  std::vector<std::string> paths;
  std::uint64_t bytes = 0;   // of these files
  ModelShape shape;          // without layers where what it computes is not known
  std::string why_no_costs;  // empty: its costs follow from the shape
};

// A GGUF file (one of several, too), a safetensors file, or a folder with config.json and safetensors.
[[nodiscard]] Result<ModelFiles> read_model(const std::string& path);
[[nodiscard]] ModelFiles model_of(GgufFiles&& files);

}  // namespace prony::complexity
