// The truth test on layers that an engine really ran: they come in its order and take what it took, the simulated
// device gives each a known power, and a simulated sensor watches it run. Then regression (c) and the split by a model
// (d) are told beside the true joules, and EdgeProfiler's mean. No joule here is real. Pure; the seed fixes it. Units:
// seconds, watts, joules of one run of the network, above idle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "layers/energy.hpp"
#include "layers/identifiability.hpp"
#include "model/network_layers.hpp"

namespace prony::layers {

struct EngineLayer {
  NetworkLayer layer;  // its name, multiply-adds and bytes, where they are known
  double seconds = 0;
};
struct EngineTruthOptions {
  PowerSensor sensor{0.0066, 0.0066, 0.040, 0.020};
  std::uint64_t seed = 1;
};
inline constexpr std::size_t most_engine_layers = 128;  // the regression keeps a matrix for each block of windows

struct EngineTruthRow {
  std::string name;
  double seconds = 0, true_j = 0;
  std::optional<Interval95> regressed_j;  // of the network as it runs; absent: not resolvable
  std::optional<Interval95> cut_j;        // of the network cut behind layers drawn anew
  LayerJoules modelled;                   // of the joules that were measured
  double mean_j = 0;                      // the network's mean power for the layer's time: what EdgeProfiler's comes to
};
struct EngineTruth {
  std::vector<EngineTruthRow> rows;
  std::string verdict;                    // of identifiability
  std::string why_regressed, why_cut;     // why not, as a whole; "": it was told
  double measured_j = 0, idle_j = 0;      // of one run, by the sensor; what idle alone had taken meanwhile
  double watched_s = 0, condition = 0;    // of each of the two; of the cuts
  [[nodiscard]] Balance balance() const;  // with (d), which splits all there is
};

// Refused, with the reason: no layer takes time, or more layers than the regression can hold.
[[nodiscard]] Expected<EngineTruth, std::string> engine_truth(const std::vector<EngineLayer>& layers,
                                                              const EngineTruthOptions& options);
[[nodiscard]] std::string engine_truth_text(const EngineTruth& truth, const EngineTruthOptions& options);

}  // namespace prony::layers
