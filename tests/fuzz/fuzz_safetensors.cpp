// parts: complexity
// Any bytes as the head of a safetensors file, an index or a config.json beside it: an error, or tensors that lie
// within their file and a shape whose costs are finite. The first byte says which.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "complexity/huggingface.hpp"
#include "complexity/model_cost.hpp"
#include "complexity/safetensors.hpp"

namespace {

using namespace prony::complexity;

std::vector<GgufTensor> some_tensors() {
  GgufTensor key;
  key.name = "model.layers.0.self_attn.k_proj.weight";
  key.shape = {64, 64, 1, 1};
  key.dimensions = 2;
  key.elements = 64 * 64;
  key.bytes = 2 * 64 * 64;
  key.type_name = "BF16";
  return {key};
}

void expect_costs(const HuggingfaceFiles& files) {
  const auto shape = shape_of(files.header);
  if (!shape) return;
  for (const ModelCost& cost : {prefill_cost(*shape, 1000, 20), generation_cost(*shape, 1000, 100, 4)})
    if (!(cost.flop() >= 0) || !std::isfinite(cost.flop()) || !std::isfinite(cost.bytes())) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 3 == 0) {
    const auto bytes = std::as_bytes(std::span(data + 1, size - 1));
    const auto tensors = parse_safetensors(bytes, bytes.size() + 4096);
    if (!tensors) return 0;
    for (const GgufTensor& tensor : *tensors)
      if (!tensor.bytes || tensor.offset + *tensor.bytes > bytes.size() + 4096) std::abort();
    const auto config =
        parse_huggingface_config(R"({"model_type":"llama","num_hidden_layers":2,"num_attention_heads":4})");
    expect_costs(huggingface_model(*config, *tensors));
  } else if (data[0] % 3 == 1) {
    const auto map = parse_safetensors_index(text);
    if (!map) return 0;
    for (const auto& [tensor, file] : *map)
      if (file.empty() || file.find('/') != std::string::npos || file.front() == '.') std::abort();
  } else if (const auto config = parse_huggingface_config(text)) {
    expect_costs(huggingface_model(*config, some_tensors()));
  }
  return 0;
}
