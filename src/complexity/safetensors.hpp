// The head of a safetensors file: the table of its tensors; no weight is read. 8 bytes of length (little-endian, at
// most 100 MB), then JSON. Read as a stream, so a hostile head costs no more memory than the tensors it names. Any
// thread, no shared state. Errors: malformed (no such file, cut off, a tensor that is not where it says), full (more
// tensors than any model has), and those of opening. Source: the safetensors format (huggingface/safetensors, README).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "complexity/gguf.hpp"

namespace prony::complexity {

inline constexpr std::uint64_t largest_safetensors_head = 100'000'000;

// Shapes are given as GGUF has them: the first changes fastest in memory, which is the last in the file.
[[nodiscard]] Result<std::vector<GgufTensor>> parse_safetensors_json(std::string_view json, std::uint64_t data_bytes);
// `head`: the file's first bytes, its whole head among them.
[[nodiscard]] Result<std::vector<GgufTensor>> parse_safetensors(std::span<const std::byte> head,
                                                                std::uint64_t file_bytes);
struct SafetensorsFile {
  std::vector<GgufTensor> tensors;
  std::uint64_t bytes = 0;
};
[[nodiscard]] Result<SafetensorsFile> read_safetensors(const std::string& path);

// model.safetensors.index.json: which file holds which tensor. Names of files that lead out of the folder are refused.
using WeightMap = std::map<std::string, std::string, std::less<>>;
[[nodiscard]] Result<WeightMap> parse_safetensors_index(std::string_view json);

}  // namespace prony::complexity
