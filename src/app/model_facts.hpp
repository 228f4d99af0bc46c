// What a model's file says that its tokens cost, for the Run's manifest: so that a Run can be read where the file is
// not. Thread promise: one thread. A file that is no GGUF, or says too little, gives no facts and is no error: the
// engine may know it all the same.
#pragma once

#include <string>
#include <vector>

#include "model/manifest.hpp"

namespace prony::app {

// model.architecture, model.layers, model.weights_bytes, and of the key-value cache as 16-bit numbers:
// model.kv_bytes_per_token, model.kv_windowed_bytes_per_token, model.kv_window_tokens.
[[nodiscard]] std::vector<Fact> model_facts(const std::string& path);

}  // namespace prony::app
