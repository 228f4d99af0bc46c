// What TensorRT (8 to 11) and trtexec write: the engine inspector's JSON (trtexec --exportLayerInfo; EdgeProfiler's
// trt_engine_info.json), the layers' profile (--exportProfile) and the times of inferences (--exportTimes).
// The engine becomes a network of layers, every layer a row, reformats and generated kernels too; multiply-adds follow
// groups, kernel and output channels, poolings have their WindowSize. An engine built without detailed verbosity lists
// names alone: its layers are there, their figures absent with that reason. Errors: malformed, full. Any thread, pure.
// Source: NVIDIA TensorRT, "Engine Inspector"; samples/common/sampleReporting.cpp for the files of trtexec.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "layers/byte_source.hpp"
#include "layers/recording.hpp"

namespace prony::layers {

struct Engine {
  NetworkLayers network;
  std::vector<std::string> types;  // LayerType of each layer, "" where only names are told
  // What EdgeProfiler takes for the kernel of each layer: "Kernel", which poolings have not (they have WindowSize).
  std::vector<std::vector<std::int64_t>> kernel_key;
  std::vector<std::string>
      open_inputs;  // "NAME [-1,3,224,224]": of the network, whose shape is known only when it runs
  std::vector<std::string> notes;
};
// `batch`: of tensors whose first dimension is open.
[[nodiscard]] Result<Engine> read_engine(std::string_view text, std::optional<std::int64_t> batch = std::nullopt);

// [{"count": N}, {"name", "timeMs", "averageMs", "medianMs", "percentage"}, …]; TensorRT 8 has no median.
[[nodiscard]] Result<Recording> read_trtexec_profile(ByteSource& source);

// [{"startComputeMs", …, "computeMs", "latencyMs"}, …]: inference_ms is latencyMs; layers are none.
struct TrtexecTimes {
  std::vector<double> latency_ms, compute_ms;
  std::size_t overlapping = 0;  // inferences that began to compute before the one before had ended
  std::vector<std::string> notes;
};
[[nodiscard]] Result<TrtexecTimes> read_trtexec_times(ByteSource& source);

}  // namespace prony::layers
