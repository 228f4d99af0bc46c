// What a transformer is made of, from a GGUF head: the tensor table is what counts (shapes, types, what is there at
// all); what the file says of itself only adds what shapes cannot show (heads, windows, experts used). Pure; plain
// values; any thread. Units: numbers (1 parameter = 1 element), bytes. Errors: malformed where the table and what the
// file says cannot both be right; what is merely not known is in `unknown`, with what was taken instead.
// Source: the GGUF specification's keys; tensor names and windows of attention as in llama.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "complexity/gguf.hpp"

namespace prony::complexity {

// One layer, as far as costs go. Head numbers are 0 where it has no attention.
struct BlockShape {
  std::uint64_t heads = 0, kv_heads = 0, key_length = 0, value_length = 0;
  std::uint64_t window = 0;  // it sees the last so many tokens; 0: all
  bool owns_cache = true;    // false: it reads another layer's
  std::uint64_t state = 0;   // numbers that a recurrent layer keeps, whatever the context; 0: none, or unknown
  bool recurrent = false;    // without a cache that grows (Mamba, RWKV, linear attention)
  std::uint64_t dense = 0;   // elements of matrices that each token goes through
  std::uint64_t expert = 0;  // elements of all experts together
  std::uint64_t dense_bytes = 0, expert_bytes = 0;  // of the same, and of norms and biases
};

struct TypeUse {
  std::string type;  // "Q4_K"; "type 99" where nobody knows it
  std::uint64_t tensors = 0, elements = 0;
  std::optional<std::uint64_t> bytes;
};

struct ModelShape {
  std::string architecture, name;
  std::uint64_t embedding = 0, vocabulary = 0, context_length = 0;
  std::uint64_t experts = 0, experts_used = 0;  // 0: none
  // Multi-head latent attention: what is kept of a token is one vector of kv_rank + rope_length for all heads.
  std::uint64_t kv_rank = 0, rope_length = 0;
  std::vector<BlockShape> layers;                   // those that make the next token
  std::uint64_t head_elements = 0, head_bytes = 0;  // the output matrix, or the embedding where it serves as both
  bool tied = false;                                // the embedding serves as the output matrix
  std::uint64_t lookup_bytes = 0;                   // of one row of the embedding
  std::uint64_t parameters = 0;                     // all that is in the file
  std::optional<std::uint64_t> weights_bytes;       // of all tensors; absent: a type is not known
  std::vector<TypeUse> types;                       // most bytes first
  std::vector<std::string> unknown;                 // what was taken instead of what is not told

  [[nodiscard]] bool latent() const noexcept { return kv_rank > 0; }
  [[nodiscard]] double bits_per_weight() const noexcept;  // 0: not known
};

// Name, parameters, bytes and types: what the table tells of any file, whatever is in it. No layers.
[[nodiscard]] ModelShape totals_of(const GgufHeader& header);
[[nodiscard]] Result<ModelShape> shape_of(const GgufHeader& header);

}  // namespace prony::complexity
