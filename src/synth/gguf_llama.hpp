// A llama-architecture GGUF (version 3) with random weights and a working SentencePiece tokenizer: real compute,
// meaningless text. For tests and demonstrations where no model may be fetched.
//
// The same options give the same bytes on every machine: all weights are drawn by integer arithmetic from the seed and
// the tensor's number. No token row of <unk>, <s>, </s> in the output matrix has weight, so greedy decoding never ends
// early. Units: parameters are counted as the tensors' elements, embeddings and norms included. Thread promise: any
// thread, no shared state. Errors: usage (options), full (no space), denied/absent (folder), never a half-written file
// at `path`. Source: the GGUF specification and the llama.cpp tensor names; the random matrices are scaled by 1/√(row
// length).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace prony {

enum class SynthQuant { f32, f16, q8_0, q4_0 };
[[nodiscard]] Result<SynthQuant> synth_quant_from(std::string_view text);  // "f16", "q8_0", "F32", …
[[nodiscard]] std::string_view to_string(SynthQuant quant) noexcept;       // "F16", "Q8_0", "Q4_0", "F32"

// "160k", "15M", "1.1B", "15000000" → a count. At least 20 thousand, at most 200 billion.
[[nodiscard]] Result<std::uint64_t> parse_parameter_count(std::string_view text);

struct SynthOptions {
  std::uint64_t parameters = 15'000'000;  // about so many: the nearest sensible shape is taken
  SynthQuant quant = SynthQuant::q8_0;    // of the matrices; norms are F32, as in real files
  std::uint64_t seed = 1;
  std::uint32_t context_length = 2048;  // what the model says of itself
  bool replace = false;                 // an existing file at `path` may be replaced
};

// The shape chosen for a count of parameters.
struct LlamaShape {
  std::uint32_t embedding = 0, layers = 0, heads = 0, kv_heads = 0, feed_forward = 0, vocabulary = 0;
  [[nodiscard]] std::uint64_t parameters() const noexcept;
};
[[nodiscard]] LlamaShape llama_shape_for(std::uint64_t parameters) noexcept;

struct SynthReport {
  std::string name;  // "synthetic-llama-15M"
  LlamaShape shape;
  std::uint64_t parameters = 0;  // as written
  std::uint64_t bytes = 0;       // of the file
  std::uint32_t tensors = 0;
};

// Writes beside `path` under a temporary name and renames it at the end.
[[nodiscard]] Result<SynthReport> write_synthetic_llama(const SynthOptions& options, const std::string& path);

// IEEE binary16 nearest to `value`, ties to even; the exact bits, not the host's idea of them.
[[nodiscard]] std::uint16_t half_from_float(float value) noexcept;

}  // namespace prony
