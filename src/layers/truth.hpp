// The truth test of energy per layer: networks whose layers' powers are known run on a simulated device, sensors that
// average and round watch them, and each method's figures are held against the truth; EdgeProfiler's mapping gets the
// same readings. Everything is made from a seed: the same options give the same table everywhere. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "layers/identifiability.hpp"

namespace prony::layers {

struct TruthOptions {
  std::size_t networks = 50;
  std::size_t layers = 23;
  std::uint64_t seed = 1;
};

struct TruthRow {
  double window_s = 0;
  std::string method, on;             // "(c) regression", "the network as it runs"
  std::size_t layers = 0;             // whose figure there is, of all networks together
  std::size_t refused = 0;            // not resolvable, and said so instead
  std::optional<double> error;        // mean of |told − true| ÷ true of power above idle
  std::optional<double> covered;      // share of all layers whose truth lies in the interval, told or not
  std::optional<double> spread_told;  // deviation ÷ mean of a network's told powers, mean over networks
  std::optional<double> condition;    // median
  double seconds = 0;                 // watched, for one network
};
struct Truth {
  std::vector<TruthRow> rows;
  double spread_true = 0;
  double worst_unattributed = 0;      // |measured − idle − Σ layers| ÷ measured of (c), gross, the largest
  std::vector<std::string> verdicts;  // of the first network, for each sensor
};
[[nodiscard]] Truth truth_table(const TruthOptions& options);
[[nodiscard]] std::string truth_text(const Truth& truth, const TruthOptions& options);

}  // namespace prony::layers
