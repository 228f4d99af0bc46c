// `prony layers MODEL.onnx --engine trtexec`: which trtexec, and what it wrote of the layers put into the Run's text as
// network_report reads it. Thread promise: one thread. Errors: absent, no trtexec.
#pragma once

#include <string>
#include <vector>

#include "app/subcommand.hpp"
#include "base/result.hpp"
#include "model/network_layers.hpp"
#include "workloads/network_runs.hpp"

namespace prony::app {

// The worker and its arguments; `folder`: where it may write; `program`: a trtexec with its options, empty: that of
// PATH, or of where TensorRT puts it.
[[nodiscard]] Result<std::vector<std::string>> trtexec_worker(const std::string& precision, const std::string& folder,
                                                              const CommandWords& program);

// From PREFIX.profile.json and PREFIX.layers.json. Where they are not there or no such files, there are no rows, and
// "notes" says why. Times of layers are means over the profiled runs: trtexec does not tell their spread.
[[nodiscard]] std::string trtexec_layer_times(const NetworkLayers& network, const std::string& prefix,
                                              const NetworkRunTimes& times);

}  // namespace prony::app
