// Published models as transformers store them: names and shapes of all tensors, worked out from the configs' figures by
// themselves, so that what the product reads of them is held against something else than the product.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace prony::complexity {

struct PublishedTensor {
  std::string name;
  std::vector<std::uint64_t> shape;
};
using PublishedTensors = std::vector<PublishedTensor>;

// The head of a safetensors file: all of one type, one behind the other.
struct SafetensorsHead {
  std::string json;
  std::uint64_t data_bytes = 0;
  [[nodiscard]] std::string bytes() const {
    std::string out;
    for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(json.size() >> 8 * i & 0xff));
    return out + json;
  }
};
inline SafetensorsHead safetensors_head(const PublishedTensors& tensors, const std::string& dtype = "BF16",
                                        std::uint64_t width = 2) {
  SafetensorsHead head{R"({"__metadata__":{"format":"pt"})", 0};
  for (const PublishedTensor& tensor : tensors) {
    std::uint64_t bytes = width;
    std::string shape;
    for (const std::uint64_t one : tensor.shape)
      bytes *= one, shape += (shape.empty() ? "" : ",") + std::to_string(one);
    head.json += ",\"" + tensor.name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + shape + "],\"data_offsets\":[" +
                 std::to_string(head.data_bytes) + "," + std::to_string(head.data_bytes + bytes) + "]}";
    head.data_bytes += bytes;
  }
  head.json += "}";
  return head;
}

struct PublishedShape {
  std::uint64_t hidden = 4096, layers = 32, heads = 32, kv_heads = 8, head = 128, feed = 14336, vocabulary = 128256;
  bool tied = false, qkv_bias = false, head_norms = false, four_norms = false, joined = false;
  std::uint64_t experts = 0;
};

inline PublishedTensors published(const PublishedShape& m) {
  PublishedTensors out{{"model.embed_tokens.weight", {m.vocabulary, m.hidden}}, {"model.norm.weight", {m.hidden}}};
  for (std::uint64_t i = 0; i < m.layers; ++i) {
    const std::string block = "model.layers." + std::to_string(i) + ".";
    const auto add = [&](const std::string& name, std::vector<std::uint64_t> shape) {
      out.push_back({block + name, std::move(shape)});
    };
    add("input_layernorm.weight", {m.hidden});
    add("post_attention_layernorm.weight", {m.hidden});
    if (m.four_norms) add("pre_feedforward_layernorm.weight", {m.hidden});
    if (m.four_norms) add("post_feedforward_layernorm.weight", {m.hidden});
    const std::uint64_t q = m.heads * m.head, kv = m.kv_heads * m.head;
    if (m.joined) {
      add("self_attn.qkv_proj.weight", {q + 2 * kv, m.hidden});
      add("mlp.gate_up_proj.weight", {2 * m.feed, m.hidden});
    } else {
      for (const auto& [name, rows] : {std::pair("q", q), std::pair("k", kv), std::pair("v", kv)}) {
        add(std::string("self_attn.") + name + "_proj.weight", {rows, m.hidden});
        if (m.qkv_bias) add(std::string("self_attn.") + name + "_proj.bias", {rows});
      }
    }
    if (m.head_norms) add("self_attn.q_norm.weight", {m.head}), add("self_attn.k_norm.weight", {m.head});
    add("self_attn.o_proj.weight", {m.hidden, q});
    if (m.experts > 0) add("block_sparse_moe.gate.weight", {m.experts, m.hidden});
    for (std::uint64_t e = 0; e < m.experts; ++e) {
      const std::string expert = "block_sparse_moe.experts." + std::to_string(e) + ".";
      add(expert + "w1.weight", {m.feed, m.hidden});
      add(expert + "w2.weight", {m.hidden, m.feed});
      add(expert + "w3.weight", {m.feed, m.hidden});
    }
    if (m.experts > 0) continue;
    if (!m.joined) add("mlp.gate_proj.weight", {m.feed, m.hidden}), add("mlp.up_proj.weight", {m.feed, m.hidden});
    add("mlp.down_proj.weight", {m.hidden, m.feed});
  }
  if (!m.tied) out.push_back({"lm_head.weight", {m.vocabulary, m.hidden}});
  return out;
}

}  // namespace prony::complexity
