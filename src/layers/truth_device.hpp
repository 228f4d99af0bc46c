// A simulated device that runs layers of known power, and a sensor that watches it. Pure; made from a seed.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "layers/energy.hpp"
#include "layers/identifiability.hpp"
#include "layers/regression.hpp"

namespace prony::layers {

// The same numbers on every machine: no distribution of the standard library is.
class TruthRandom {
 public:
  explicit TruthRandom(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u) {}
  double uniform();  // 0…1
  double normal();
  std::size_t below(std::size_t count) { return static_cast<std::size_t>(uniform() * static_cast<double>(count)); }

 private:
  std::uint64_t state_;
};

struct TrueNetwork {
  std::vector<double> seconds, above_idle_w;
  double idle_w = 4;
};
[[nodiscard]] TrueNetwork true_network(std::size_t layers, TruthRandom& random);

// What runs one after the other: a layer, or nothing (idle).
struct Segment {
  static constexpr std::size_t idle = static_cast<std::size_t>(-1);
  double seconds = 0;
  std::size_t layer = idle;
};
// Gives the next segment each time it is called.
using Schedule = std::function<Segment()>;

// Inferences one after the other with a pause of the host between them; durations vary by up to 5 %.
[[nodiscard]] Schedule as_it_runs(const TrueNetwork& network, TruthRandom& random);
// Stints of a few windows in which the network is cut off behind a layer drawn anew.
[[nodiscard]] Schedule with_cuts(const TrueNetwork& network, double window_s, TruthRandom& random);
// One layer over and over, launches between.
[[nodiscard]] Schedule looped(const TrueNetwork& network, std::size_t layer, TruthRandom& random);
// The layers up to `last` over and over.
[[nodiscard]] Schedule cut_behind(const TrueNetwork& network, std::size_t last, TruthRandom& random);

struct Watched {
  Occupancy occupancy;
  std::vector<SensorReading> readings;
  double busy = 0;    // share of the time that layers filled
  double joules = 0;  // true, of all the time
  double seconds = 0;
};
// Windows one after the other, each mean with noise and then rounded. `each` is told every segment with its begin.
[[nodiscard]] Watched watch(const TrueNetwork& network, const Schedule& schedule, const PowerSensor& sensor,
                            std::size_t windows, TruthRandom& random,
                            const std::function<void(double begin_s, const Segment&)>& each = {});

}  // namespace prony::layers
