// A model of one GGUF file or of several (NAME-00001-of-00003.gguf): any of them names all, and what they hold is laid
// together. No weight is read, but each tensor must lie within its file, and none on another: a download that was cut
// off says so. Any thread. Errors: as of read_gguf; absent (a file of the model is missing), malformed (files that do
// not belong together, tensors past the end), full (more files or longer heads than any model has).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "complexity/gguf.hpp"

namespace prony::complexity {

inline constexpr std::uint64_t most_model_files = 1024;

struct GgufFiles {
  GgufHeader header;  // what the first file says of the model; the tensors of all
  std::vector<std::string> paths;
  std::uint64_t bytes = 0;
};

[[nodiscard]] Result<GgufFiles> read_gguf_files(const std::string& path);
// These files in this order, whatever their names.
[[nodiscard]] Result<GgufFiles> read_gguf_files(const std::vector<std::string>& paths);

}  // namespace prony::complexity
