// What a worker told of a network's runs, put into one text for the Run: figures of each series, a row for each node of
// the engine, and which nodes of the file it computes. Pure; any thread.
#pragma once

#include <string>

#include "complexity/onnx_mapping.hpp"
#include "model/network_layers.hpp"
#include "workloads/network_runs.hpp"

namespace prony::app {

// `engine`: the graph as the engine ran it; null: it is not known, and nothing is mapped. JSON, as network_report
// reads.
[[nodiscard]] std::string layer_times(const complexity::OnnxModel& model, const NetworkLayers& network,
                                      const complexity::OnnxModel* engine, const NetworkRunTimes& times);

// The same of a language model: rows are a layer's operators of one kind, of a prompt of `tokens` and of one token
// after.
[[nodiscard]] std::string model_times(std::int64_t tokens, const std::vector<NetworkRunTimes>& parts);

}  // namespace prony::app
