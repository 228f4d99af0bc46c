// What a model's files say that its tokens cost, for the Run's manifest: so that a Run can be read where the files are
// not. Pure. Files that say too little give no facts and are no error: the engine may know them all the same.
#pragma once

#include <vector>

#include "complexity/model_files.hpp"
#include "model/manifest.hpp"

namespace prony::app {

// model.architecture, model.layers, model.weights_bytes, model.cost.… (model/token_costs.hpp), and of the key-value
// cache as 16-bit numbers: model.kv_bytes_per_token, model.kv_windowed_bytes_per_token, model.kv_window_tokens.
[[nodiscard]] std::vector<Fact> model_facts(const complexity::ModelFiles& model);

}  // namespace prony::app
