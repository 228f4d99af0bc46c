// Summaries of PyTorch modules: objects with `type`, `input_shape`, `output_shape`, `kernel_size`, `stride`, `padding`,
// `dilation`, `groups`, `multiply_adds`, in a list or by name. Sizes are those of torch: of a Conv1d in one dimension,
// of a Linear over the last one. Internal to what reads networks (network_json.cpp).
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/result.hpp"
#include "predict/layer.hpp"

namespace prony::predict {

// `batch`: what a first size of -1 is; 0: not told, and -1 is refused (usage). Errors: malformed, with the layer's
// name.
[[nodiscard]] Result<NetworkToPredict> network_from_torch(const nlohmann::json& layers, const std::string& where,
                                                          double batch);

}  // namespace prony::predict
