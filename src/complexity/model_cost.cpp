#include "complexity/model_cost.hpp"

#include <algorithm>
#include <map>

namespace prony::complexity {

namespace {

double number(std::uint64_t value) { return static_cast<double>(value); }

// What a layer keeps of one token, in numbers.
double kept(const ModelShape& shape, const BlockShape& layer) {
  if (layer.heads == 0) return 0;
  if (shape.latent()) return number(shape.kv_rank) + number(shape.rope_length);
  return number(layer.kv_heads) * (number(layer.key_length) + number(layer.value_length));
}

// FLOP of one token's attention for each token that it sees.
double attention_flop(const ModelShape& shape, const BlockShape& layer) {
  if (shape.latent()) return 2 * number(layer.heads) * (2 * number(shape.kv_rank) + number(shape.rope_length));
  return 2 * number(layer.heads) * (number(layer.key_length) + number(layer.value_length));
}

double experts_share(const ModelShape& shape) {
  if (shape.experts == 0 || shape.experts_used == 0) return 1;
  return number(shape.experts_used) / number(shape.experts);
}

}  // namespace

double KvSize::bytes(double context) const noexcept {
  return bytes_per_token * context + windowed_bytes_per_token * std::min(context, window_tokens) + state_bytes;
}

KvSize kv_size(const ModelShape& shape, double bytes_per_number) {
  constexpr double state_number_bytes = 4;
  KvSize size;
  for (const BlockShape& layer : shape.layers) {
    size.state_bytes += number(layer.state) * state_number_bytes;
    if (!layer.owns_cache) continue;
    const double bytes = kept(shape, layer) * bytes_per_number;
    (layer.window > 0 ? size.windowed_bytes_per_token : size.bytes_per_token) += bytes;
    size.window_tokens = std::max(size.window_tokens, number(layer.window));
  }
  return size;
}

KvReads kv_reads(const ModelShape& shape, double bytes_per_number) {
  KvReads reads;
  for (const BlockShape& layer : shape.layers) {
    const double bytes = kept(shape, layer) * bytes_per_number;
    (layer.window > 0 ? reads.windowed_bytes_per_token : reads.bytes_per_token) += bytes;
    reads.window_tokens = std::max(reads.window_tokens, number(layer.window));
  }
  return reads;
}

TokenCosts token_costs(const ModelShape& shape, double bytes_per_number) {
  TokenCosts costs;
  costs.experts_used = experts_share(shape);
  costs.head_flop = 2 * number(shape.head_elements);
  costs.head_bytes = number(shape.head_bytes);
  costs.lookup_bytes = number(shape.lookup_bytes);
  std::map<std::uint64_t, Sight> sights;
  for (const BlockShape& layer : shape.layers) {
    costs.linear_flop += 2 * (number(layer.dense) + number(layer.expert) * costs.experts_used);
    costs.layer_bytes += number(layer.dense_bytes);
    costs.expert_bytes += number(layer.expert_bytes);
    if (layer.heads == 0) continue;
    Sight& sight = sights[layer.window];
    sight.window = number(layer.window);
    sight.flop_per_seen += attention_flop(shape, layer);
    const double bytes = kept(shape, layer) * bytes_per_number;
    sight.read_bytes_per_seen += bytes;
    if (layer.owns_cache) sight.written_bytes += bytes;
  }
  for (const auto& [window, sight] : sights) costs.sights.push_back(sight);
  return costs;
}

MemoryEstimate memory_estimate(const ModelShape& shape, double context, double sequences, double bytes_per_number) {
  MemoryEstimate memory;
  if (shape.weights_bytes) memory.weights_bytes = number(*shape.weights_bytes);
  memory.kv_bytes = sequences * kv_size(shape, bytes_per_number).bytes(context);
  return memory;
}

ModelCost prefill_cost(const ModelShape& shape, double tokens, double cached, double batch, double bytes_per_number) {
  return token_costs(shape, bytes_per_number).prefill(tokens, cached, batch);
}

ModelCost decode_cost(const ModelShape& shape, double context, double sequences, double bytes_per_number) {
  return token_costs(shape, bytes_per_number).decode(context, sequences);
}

ModelCost generation_cost(const ModelShape& shape, double before, double steps, double sequences,
                          double bytes_per_number) {
  return token_costs(shape, bytes_per_number).generation(before, steps, sequences);
}

}  // namespace prony::complexity
