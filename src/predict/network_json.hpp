// Networks from JSON that other tools write: TensorRT's engine inspector (trt_engine_info.json, trtexec's graph.json),
// summaries of PyTorch modules (EdgeProfiler's `get_summary`, Prony's own), and lists by hand with the columns of a
// data set's rows. A text that is itself JSON text (double-encoded) is unwrapped. What a row lacks is told in
// `remarks`, by the layer's name. Pure. Errors: malformed (what is missing, in which layer).
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "predict/layer.hpp"

namespace prony::predict {

// `batch`: what a first dimension that the file leaves open (-1) is; 0: not told, and such a file is refused (usage).
[[nodiscard]] Result<NetworkToPredict> network_from_json(std::string_view text, const std::string& where,
                                                         double batch = 0);
// A list of layers as CSV, with the columns of rows.csv that there are; `kind` and the sizes are enough.
[[nodiscard]] Result<NetworkToPredict> network_from_csv(std::string_view text, const std::string& where);

}  // namespace prony::predict
