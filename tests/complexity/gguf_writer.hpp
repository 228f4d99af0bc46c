// Heads of GGUF files for the tests, in any version and byte order; no weights. Shapes of published models beside it.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace prony::complexity {

class GgufWriter {
 public:
  explicit GgufWriter(std::uint32_t version = 3, bool big = false) : version_(version), big_(big) {}

  GgufWriter& word(std::string_view key, std::uint32_t value) {
    begin(key, 4);
    number(values_, value, 4);
    return *this;
  }
  GgufWriter& real(std::string_view key, float value) {
    begin(key, 6);
    number(values_, std::bit_cast<std::uint32_t>(value), 4);
    return *this;
  }
  GgufWriter& text(std::string_view key, std::string_view value) {
    begin(key, 8);
    string(values_, value);
    return *this;
  }
  GgufWriter& texts(std::string_view key, std::size_t count_of, std::string_view each) {
    begin(key, 9);
    number(values_, 8, 4);
    count(values_, count_of);
    for (std::size_t i = 0; i < count_of; ++i) string(values_, each);
    return *this;
  }
  // Numbers of 32 bits, or truth values.
  GgufWriter& list(std::string_view key, const std::vector<std::uint32_t>& numbers, bool truth = false) {
    begin(key, 9);
    number(values_, truth ? 7 : 4, 4);
    count(values_, numbers.size());
    for (const std::uint32_t one : numbers) number(values_, one, truth ? 1 : 4);
    return *this;
  }
  GgufWriter& tensor(std::string_view name, const std::vector<std::uint64_t>& shape, std::uint32_t type) {
    string(tensors_, name);
    number(tensors_, shape.size(), 4);
    for (const std::uint64_t one : shape) count(tensors_, one);
    number(tensors_, type, 4);
    number(tensors_, 0, 8);
    ++tensor_count_;
    return *this;
  }
  [[nodiscard]] std::string bytes() const {
    std::string out = "GGUF";
    number(out, version_, 4);
    count(out, tensor_count_);
    count(out, value_count_);
    return out + values_ + tensors_;
  }

 private:
  void number(std::string& out, std::uint64_t value, std::size_t bytes) const {
    for (std::size_t i = 0; i < bytes; ++i)
      out.push_back(static_cast<char>(value >> 8 * (big_ ? bytes - 1 - i : i) & 0xff));
  }
  void count(std::string& out, std::uint64_t value) const { number(out, value, version_ == 1 ? 4 : 8); }
  void string(std::string& out, std::string_view value) const {
    count(out, value.size());
    out.append(value);
  }
  void begin(std::string_view key, std::uint32_t type) {
    string(values_, key);
    number(values_, type, 4);
    ++value_count_;
  }

  std::uint32_t version_;
  bool big_;
  std::string values_, tensors_;
  std::uint64_t value_count_ = 0, tensor_count_ = 0;
};

inline std::span<const std::byte> as_head(const std::string& bytes) { return std::as_bytes(std::span(bytes)); }

struct Llama {
  std::uint32_t embedding = 4096, layers = 32, heads = 32, kv_heads = 8, feed_forward = 14336, vocabulary = 128256;
  std::uint32_t type = 1;  // F16
  bool tied = false;
};

// As converted from the published weights: token embedding, nine tensors a layer, two norms, the rotation's factors.
inline GgufWriter llama(const Llama& m, std::uint32_t version = 3, bool big = false) {
  GgufWriter out(version, big);
  out.text("general.architecture", "llama").text("general.name", "a llama").word("llama.block_count", m.layers);
  out.word("llama.context_length", 131072).word("llama.embedding_length", m.embedding);
  out.word("llama.feed_forward_length", m.feed_forward).word("llama.attention.head_count", m.heads);
  out.word("llama.attention.head_count_kv", m.kv_heads).real("llama.rope.freq_base", 500000);
  out.texts("tokenizer.ggml.tokens", 300, "token");
  const std::uint64_t e = m.embedding, f = m.feed_forward, kv = e / m.heads * m.kv_heads;
  out.tensor("token_embd.weight", {e, m.vocabulary}, m.type);
  for (std::uint32_t i = 0; i < m.layers; ++i) {
    const std::string block = "blk." + std::to_string(i) + ".";
    out.tensor(block + "attn_norm.weight", {e}, 0).tensor(block + "ffn_norm.weight", {e}, 0);
    out.tensor(block + "attn_q.weight", {e, e}, m.type).tensor(block + "attn_k.weight", {e, kv}, m.type);
    out.tensor(block + "attn_v.weight", {e, kv}, m.type).tensor(block + "attn_output.weight", {e, e}, m.type);
    out.tensor(block + "ffn_gate.weight", {e, f}, m.type).tensor(block + "ffn_up.weight", {e, f}, m.type);
    out.tensor(block + "ffn_down.weight", {f, e}, m.type);
  }
  out.tensor("output_norm.weight", {e}, 0);
  if (!m.tied) out.tensor("output.weight", {e, m.vocabulary}, m.type);
  return out;
}

}  // namespace prony::complexity
