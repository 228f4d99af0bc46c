// A predictor carried to another device with a few measurements there. The logarithm of what the device takes less what
// the predictor says is a line in the logarithms of FLOP, bytes and FLOP per byte, with an offset for each kind of
// layer; all have priors (nothing changes), so that a handful of layers is enough. Which layers to measure is chosen so
// that each lowers the largest uncertainty left (greedy D-optimal design). Pure; plain values. Source: Bishop, Pattern
// Recognition and Machine Learning, 3.3; Fedorov 1972 for the design.
#pragma once

#include <string>
#include <vector>

#include "predict/predictor.hpp"

namespace prony::predict {

inline constexpr std::size_t most_probes = 50;

// Numbers of the layers to measure, the most telling first; layers of kinds that were not learned are no probes.
[[nodiscard]] std::vector<std::size_t> choose_probes(const TargetModel& model, const std::vector<Layer>& layers,
                                                     std::size_t count);

struct Transfer {
  Predictor predictor;
  std::size_t probes = 0;
  std::vector<std::string> unused;  // probes that could not be used: the layer's name and why
  double log_error = 0;             // 90 % of probes, each left out in its turn, were within it
};
// Errors: malformed (fewer than five probes that can be used).
[[nodiscard]] Result<Transfer> transfer(const Predictor& predictor, const Dataset& probes);

}  // namespace prony::predict
