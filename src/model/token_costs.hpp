// What tokens cost a model: FLOP and bytes of any prompt and answer, from a few figures of its shape, so that a Run can
// tell them where the model's file is not. 1 multiply-add = 2 FLOP; bytes; numbers of tokens. Pure; plain values; any
// thread. What is counted and what is not: complexity/model_cost.hpp, which makes these figures of a shape.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/manifest.hpp"

namespace prony {

struct TokenWork {
  double linear_flop = 0, attention_flop = 0;
  double weight_bytes = 0, kv_read_bytes = 0, kv_written_bytes = 0;
  [[nodiscard]] double flop() const noexcept { return linear_flop + attention_flop; }
  [[nodiscard]] double bytes() const noexcept { return weight_bytes + kv_read_bytes + kv_written_bytes; }
  [[nodiscard]] double flop_per_byte() const noexcept { return bytes() > 0 ? flop() / bytes() : 0; }
  TokenWork& operator+=(const TokenWork& other) noexcept;
};

// All layers that see equally far.
struct Sight {
  double window = 0;               // they see the last so many tokens; 0: all
  double flop_per_seen = 0;        // of one token, for each that it sees, itself among them
  double read_bytes_per_seen = 0;  // of the cache, by each step for each token that it sees
  double written_bytes = 0;        // into the cache, by each token
};

struct TokenCosts {
  double linear_flop = 0;   // of one token in all layers; of experts, those that it uses
  double head_flop = 0;     // of one token's logits
  double layer_bytes = 0;   // weights of all layers that every step reads
  double expert_bytes = 0;  // weights of all experts
  double experts_used = 1;  // share of the experts that one token uses
  double head_bytes = 0;    // weights that logits take
  double lookup_bytes = 0;  // of the embedding, by one token
  std::vector<Sight> sights;

  // A prompt of `tokens` after `cached` others whose keys and values are there already, in steps of at most `batch`.
  [[nodiscard]] TokenWork prefill(double tokens, double cached, double batch) const;
  // One step that makes the next token of each of `sequences`; each sees `context` tokens.
  [[nodiscard]] TokenWork decode(double context, double sequences) const;
  // All steps that make `steps` further tokens of each of `sequences`, with `before` tokens before the first of them.
  [[nodiscard]] TokenWork generation(double before, double steps, double sequences) const;
};

// As a Run's manifest keeps them (model.cost.…), and back. Absent: none are kept, or no sensible ones.
[[nodiscard]] std::vector<Fact> facts_of(const TokenCosts& costs);
[[nodiscard]] std::optional<TokenCosts> token_costs_of(const Manifest& manifest);

}  // namespace prony
