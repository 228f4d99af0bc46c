// What a model computes and moves for so many tokens: FLOP and bytes, from its shape. 1 multiply-add = 2 FLOP. Pure;
// plain values; any thread. Not counted (a few per mille): norms, rotations, softmax, activations, sampling.
//
// * A token goes through 2 FLOP per element of every matrix it touches; of experts, through those it uses.
// * Attention over c tokens: 2·H·c·(key length + value length) a layer; several query heads on one key head cut bytes,
//   not FLOP. Latent attention in its absorbed form: 2·H·c·(2·rank + turned part). Windows cut c.
// * Logits are made of the last prompt token and of each output token.
// * A step reads each weight once, whatever the batch; of experts, in the mean over uniform choices,
//   E·(1 − (1 − k/E)^B) of E.
// Source: Kaplan et al. 2020 (arXiv:2001.08361) App. B and Pope et al. 2022 (arXiv:2211.05102) §2 for what is counted.
#pragma once

#include <optional>

#include "complexity/model_shape.hpp"
#include "complexity/tensor_types.hpp"
#include "model/kv_reads.hpp"
#include "model/token_costs.hpp"

namespace prony::complexity {

using ModelCost = TokenWork;

// The figures of a shape that everything below follows from.
[[nodiscard]] TokenCosts token_costs(const ModelShape& shape, double bytes_per_number = f16_bytes);

// A prompt of `tokens` after `cached` others whose keys and values are there already, in steps of at most `batch`.
[[nodiscard]] ModelCost prefill_cost(const ModelShape& shape, double tokens, double cached = 0, double batch = 512,
                                     double bytes_per_number = f16_bytes);
// One step that makes the next token of each of `sequences`, each with `context` tokens before it.
[[nodiscard]] ModelCost decode_cost(const ModelShape& shape, double context, double sequences = 1,
                                    double bytes_per_number = f16_bytes);

// All steps that make `steps` further tokens of each of `sequences`, each with `before` tokens before the first of
// them.
[[nodiscard]] ModelCost generation_cost(const ModelShape& shape, double before, double steps, double sequences = 1,
                                        double bytes_per_number = f16_bytes);

// What one token more takes in the cache while no window is full; what layers with a window hold at most.
struct KvSize {
  double bytes_per_token = 0;  // of layers that see everything
  double windowed_bytes_per_token = 0;
  double window_tokens = 0;  // the longest window
  double state_bytes = 0;    // of recurrent layers, whatever the context (32-bit numbers)
  [[nodiscard]] double bytes(double context) const noexcept;  // held by one sequence
};
[[nodiscard]] KvSize kv_size(const ModelShape& shape, double bytes_per_number = f16_bytes);
// What answering `sequences` requests together takes at least: the weights, and the cache of `context` tokens of each.
// The engine's own buffers come on top: a few per cent of a large model, more of a small one.
struct MemoryEstimate {
  std::optional<double> weights_bytes;  // absent: a type of tensor is not known
  double kv_bytes = 0;                  // of all sequences
  [[nodiscard]] std::optional<double> bytes() const noexcept {
    return weights_bytes ? std::optional(*weights_bytes + kv_bytes) : std::nullopt;
  }
};
[[nodiscard]] MemoryEstimate memory_estimate(const ModelShape& shape, double context, double sequences = 1,
                                             double bytes_per_number = f16_bytes);
// What making one token reads; the same, but that layers which read another's cache read it all the same.
[[nodiscard]] KvReads kv_reads(const ModelShape& shape, double bytes_per_number = f16_bytes);

}  // namespace prony::complexity
