// A model as Hugging Face's transformers keep it: config.json and safetensors, told in GGUF's words (keys, names of
// tensors), so that one reading of shapes and costs serves both. Architectures that are not known here are counted and
// their costs are not guessed. Any thread. Errors: as of safetensors; absent (no config.json, a file of the index).
// Source: configuration_*.py and modeling_*.py of huggingface/transformers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "complexity/gguf.hpp"

namespace prony::complexity {

struct HuggingfaceConfig {
  std::string model_type;
  GgufHeader keys;           // as GGUF would have them; no tensors
  std::string why_no_costs;  // empty: the architecture is known
  bool tied = false;         // the embedding is the output matrix, even where both are stored
  std::string packing;       // "gptq", "awq", …: how weights are quantised; empty: they are not
  std::uint64_t packed_bits = 0;
};
[[nodiscard]] Result<HuggingfaceConfig> parse_huggingface_config(std::string_view json);

// "model.layers.3.self_attn.q_proj.weight" → "blk.3.attn_q.weight"; what has no name there keeps its own.
[[nodiscard]] std::string gguf_name(std::string_view name);

struct HuggingfaceFiles {
  GgufHeader header;
  std::vector<std::string> paths;
  std::uint64_t bytes = 0;
  std::string why_no_costs;
};
// Lays config and tensors together: buffers are no parameters, packed weights are counted as they are used.
[[nodiscard]] HuggingfaceFiles huggingface_model(HuggingfaceConfig config, std::vector<GgufTensor> tensors);
[[nodiscard]] Result<HuggingfaceFiles> read_huggingface(const std::string& folder);

}  // namespace prony::complexity
