// What a power sensor can tell of layers at all, from what it is like and how long they take: which of them it sees in
// place, how long and how often a layer must be looped until it does, or that the network's figure is all there is.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace prony::layers {

struct PowerSensor {
  double period_s = 0;  // between readings
  double window_s = 0;  // that a reading is the mean of
  double step_w = 0;
  double noise_w = 0;  // deviation of one reading
};

struct Need {
  std::string name;
  double seconds = 0;                 // of one run
  bool in_place = false;              // a reading's whole window fits into one run
  std::optional<double> repetitions;  // to loop it; absent: it took no time by its clock
};

struct Identifiability {
  std::vector<Need> layers;
  double loop_s = 0;  // for which each has to be looped
  std::size_t readings = 0;
  std::size_t in_place = 0;
  std::string verdict;  // one sentence; where not all are seen in place it begins "not resolvable: needs"
};

struct NamedTime {
  std::string name;
  double seconds = 0;
};
inline constexpr std::size_t least_readings = 20;  // of one loop
// `active_w`: the network's mean power above idle, of which `precision` is asked (half width of 95 %).
[[nodiscard]] Identifiability identify(const PowerSensor& sensor, const std::vector<NamedTime>& layers, double active_w,
                                       double precision = 0.03);

}  // namespace prony::layers
