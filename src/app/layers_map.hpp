// Raw recordings of EdgeProfiler (a folder with idling_power.json and a folder for each network) mapped: by its own
// rule
// (`legacy`), to the digit, or to what can be known of them. Errors name the file. Thread promise: one thread.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "layers/edgeprofiler.hpp"
#include "layers/features.hpp"
#include "layers/legacy.hpp"

namespace prony::app {

struct RawNetwork {
  std::string name, folder;  // its files are named after the network
  [[nodiscard]] std::string power_log() const { return folder + "/" + name + "_power_log.log"; }
  [[nodiscard]] std::string latencies() const { return folder + "/trt_profiling/trt_layer_latency.json"; }
  [[nodiscard]] std::string engine() const { return folder + "/trt_profiling/trt_engine_info.json"; }
};
struct RawFolder {
  layers::IdlePower idle;
  std::vector<RawNetwork> networks;  // by name
};
[[nodiscard]] Result<RawFolder> open_raw(const std::string& folder);

struct LegacyOptions {
  std::string out;       // "": nothing is written
  std::string training;  // ""
  std::size_t least_samples = 10;
  layers::Windows windows = layers::Windows::true_ones;
};
struct LegacyNetwork {
  layers::Recording recording;  // with the types of the engine
  layers::Mapping mapping;
  layers::LegacyCount count;
  std::vector<std::string> left_out;  // of the training data
};
[[nodiscard]] Result<LegacyNetwork> map_network(const RawNetwork& network, const layers::IdlePower& idle,
                                                const LegacyOptions& options);

}  // namespace prony::app
