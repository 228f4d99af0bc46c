// Writes EdgeProfiler's files again, same keys, same columns, a piece at a time. `sink` gets the pieces in order; its
// error ends the writing and is handed on. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "layers/edgeprofiler.hpp"
#include "layers/legacy.hpp"
#include "layers/recording.hpp"

namespace prony::layers {

using TextSink = std::function<Result<void>(std::string_view)>;

// trt_layer_latency.json: [ms, time] where times are there, else bare ms.
[[nodiscard]] Result<void> write_layer_latencies(const Recording& recording, const TextSink& sink);
[[nodiscard]] std::string power_line(const PowerReading& reading);
[[nodiscard]] std::string idle_power_json(const IdlePower& idle);
[[nodiscard]] std::string benchmark_json(const Benchmark& benchmark);

// Rows of power_runtime_mapping_layerwise.csv without its header.
class MappingWriter {
 public:
  MappingWriter(const Recording& recording, const TextSink& sink);
  void add(const LegacyRow& row);
  [[nodiscard]] Result<void> finish();

 private:
  TextSink sink_;
  std::vector<std::string> names_;  // ",name,type," of each layer, quoted
  std::string piece_;
  Result<void> state_;
};

}  // namespace prony::layers
