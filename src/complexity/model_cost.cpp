#include "complexity/model_cost.hpp"

#include <algorithm>
#include <cmath>

namespace prony::complexity {

namespace {

double number(std::uint64_t value) { return static_cast<double>(value); }

// What a layer keeps of one token, in numbers.
double kept(const ModelShape& shape, const LayerShape& layer) {
  if (layer.heads == 0) return 0;
  if (shape.latent()) return number(shape.kv_rank) + number(shape.rope_length);
  return number(layer.kv_heads) * (number(layer.key_length) + number(layer.value_length));
}

// FLOP of one token's attention for each token that it sees.
double attention_flop(const ModelShape& shape, const LayerShape& layer) {
  if (shape.latent()) return 2 * number(layer.heads) * (2 * number(shape.kv_rank) + number(shape.rope_length));
  return 2 * number(layer.heads) * (number(layer.key_length) + number(layer.value_length));
}

// Σ of what tokens see that stand at first … first + count − 1 of their sequence, each itself and all before it.
double seen_together(double before, double count, double window) {
  const double all = count * before + count * (count + 1) / 2;
  if (window <= 0) return all;
  const double growing = std::clamp(window - before, 0.0, count);
  return growing * before + growing * (growing + 1) / 2 + (count - growing) * window;
}

double experts_share(const ModelShape& shape) {
  if (shape.experts == 0 || shape.experts_used == 0) return 1;
  return number(shape.experts_used) / number(shape.experts);
}

// Of the experts' weights, what a step of so many tokens reads: each token draws its own.
double experts_read(const ModelShape& shape, double tokens) { return 1 - std::pow(1 - experts_share(shape), tokens); }

double linear_flop_per_token(const ModelShape& shape) {
  double elements = 0;
  for (const LayerShape& layer : shape.layers)
    elements += number(layer.dense) + number(layer.expert) * experts_share(shape);
  return 2 * elements;
}

double layer_bytes(const ModelShape& shape, double tokens) {
  double bytes = 0;
  for (const LayerShape& layer : shape.layers)
    bytes += number(layer.dense_bytes) + number(layer.expert_bytes) * experts_read(shape, tokens);
  return bytes;
}

}  // namespace

double KvSize::bytes(double context) const noexcept {
  return bytes_per_token * context + windowed_bytes_per_token * std::min(context, window_tokens) + state_bytes;
}

KvSize kv_size(const ModelShape& shape, double bytes_per_number) {
  constexpr double state_number_bytes = 4;
  KvSize size;
  for (const LayerShape& layer : shape.layers) {
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
  for (const LayerShape& layer : shape.layers) {
    const double bytes = kept(shape, layer) * bytes_per_number;
    (layer.window > 0 ? reads.windowed_bytes_per_token : reads.bytes_per_token) += bytes;
    reads.window_tokens = std::max(reads.window_tokens, number(layer.window));
  }
  return reads;
}

ModelCost prefill_cost(const ModelShape& shape, double tokens, double cached, double batch, double bytes_per_number) {
  ModelCost cost;
  if (tokens <= 0) return cost;
  batch = std::max(batch, 1.0);
  const double steps = std::ceil(tokens / batch);
  cost.linear_flop = tokens * linear_flop_per_token(shape) + 2 * number(shape.head_elements);
  for (const LayerShape& layer : shape.layers)
    cost.attention_flop += attention_flop(shape, layer) * seen_together(cached, tokens, number(layer.window));
  cost.weight_bytes =
      steps * layer_bytes(shape, tokens / steps) + number(shape.head_bytes) + tokens * number(shape.lookup_bytes);
  const KvSize size = kv_size(shape, bytes_per_number);
  cost.kv_written_bytes = tokens * (size.bytes_per_token + size.windowed_bytes_per_token);
  // Each step reads once what is there at its end, for all of its tokens together.
  const KvReads reads = kv_reads(shape, bytes_per_number);
  for (double done = 0; done < tokens && steps <= 1e6; done += batch) {
    const double context = cached + std::min(done + batch, tokens);
    cost.kv_read_bytes += reads.bytes_per_token * context +
                          reads.windowed_bytes_per_token * std::min(context, reads.window_tokens + batch);
  }
  return cost;
}

ModelCost decode_cost(const ModelShape& shape, double context, double sequences, double bytes_per_number) {
  ModelCost cost;
  cost.linear_flop = sequences * (linear_flop_per_token(shape) + 2 * number(shape.head_elements));
  for (const LayerShape& layer : shape.layers) {
    const double seen = layer.window > 0 ? std::min(context, number(layer.window)) : context;
    cost.attention_flop += sequences * attention_flop(shape, layer) * seen;
  }
  cost.weight_bytes = layer_bytes(shape, sequences) + number(shape.head_bytes) + sequences * number(shape.lookup_bytes);
  const KvReads reads = kv_reads(shape, bytes_per_number);
  cost.kv_read_bytes = sequences * (reads.bytes_per_token * context +
                                    reads.windowed_bytes_per_token * std::min(context, reads.window_tokens));
  const KvSize size = kv_size(shape, bytes_per_number);
  cost.kv_written_bytes = sequences * (size.bytes_per_token + size.windowed_bytes_per_token);
  return cost;
}

// A step sees its own token, too: the sums over steps are those over a prompt's tokens.
ModelCost generation_cost(const ModelShape& shape, double before, double steps, double sequences,
                          double bytes_per_number) {
  ModelCost cost;
  if (steps <= 0) return cost;
  const ModelCost one = decode_cost(shape, 0, sequences, bytes_per_number);
  cost.linear_flop = steps * one.linear_flop;
  cost.weight_bytes = steps * one.weight_bytes;
  cost.kv_written_bytes = steps * one.kv_written_bytes;
  for (const LayerShape& layer : shape.layers)
    cost.attention_flop +=
        sequences * attention_flop(shape, layer) * seen_together(before, steps, number(layer.window));
  const KvReads reads = kv_reads(shape, bytes_per_number);
  cost.kv_read_bytes = sequences * (reads.bytes_per_token * seen_together(before, steps, 0) +
                                    reads.windowed_bytes_per_token * seen_together(before, steps, reads.window_tokens));
  return cost;
}

}  // namespace prony::complexity
