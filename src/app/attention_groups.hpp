// Layers of a model that are alike in their attention, in the order in which the first of each comes. Pure.
#pragma once

#include <cstddef>
#include <vector>

#include "complexity/model_shape.hpp"

namespace prony::app {

struct AttentionGroup {
  std::size_t layers = 0;
  complexity::BlockShape like;  // the first of them
};
[[nodiscard]] std::vector<AttentionGroup> attention_groups(const complexity::ModelShape& shape);

inline constexpr double prefill_step_tokens = 512;  // what llama.cpp computes at once, unless told otherwise

}  // namespace prony::app
