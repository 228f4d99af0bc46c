// Energy of layers by methods that work, each a pure function of readings: (a) a layer looped alone, (b) the difference
// of two runs of which one lacks it, (d) a split of the network's joules by what layers compute and move, which is
// modelled and says so. (c), a regression over windows, is in regression.hpp. Whatever the method, layers, idle and
// what is left add up to what was measured. Units: seconds, watts, joules of one run of a layer. Gross unless said.
// Intervals cover in 95 %; ranges of modelled figures claim no coverage.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "layers/identifiability.hpp"
#include "model/network_layers.hpp"

namespace prony::layers {

enum class Method : std::uint8_t { isolated, ablated, regressed, modelled };
[[nodiscard]] std::string_view to_string(Method method) noexcept;

struct SensorReading {
  double end_s = 0, w = 0;  // mean over the sensor's window before end_s
};

struct Interval95 {
  double value = 0, low = 0, high = 0;
};

// Mean power of a stint from the readings whose whole window lies in it. Absent: fewer than `least_readings`, with what
// is needed instead.
[[nodiscard]] Expected<Interval95, std::string> power_in(std::span<const SensorReading> readings,
                                                         const PowerSensor& sensor, double begin_s, double end_s);

struct LayerJoules {
  std::string name;
  Method method = Method::isolated;
  std::optional<Interval95> above_idle_w, above_idle_j;
  std::string absent;  // why not
};

// (a) The layer ran over and over in the stint, for `busy` of it (0…1; the rest was idle between launches).
[[nodiscard]] LayerJoules isolated(const NamedTime& layer, std::span<const SensorReading> readings,
                                   const PowerSensor& sensor, double begin_s, double end_s, double busy,
                                   const Interval95& idle_w);

// The same from the stint's mean power, gross, where somebody else has made it of readings.
[[nodiscard]] LayerJoules isolated(const NamedTime& layer, const Interval95& gross_w, double busy,
                                   const Interval95& idle_w);

// (b) One inference with the layer less one without: joules above idle, each with its interval; doubts are independent.
[[nodiscard]] LayerJoules ablated(const NamedTime& layer, const Interval95& with_j, const Interval95& without_j);

// (d) The network's joules above idle, split by multiply-adds and by bytes; value: the mean of the two, low and high:
// their range. Layers without one of the figures have the other; layers without both have none, with the reason.
[[nodiscard]] std::vector<LayerJoules> modelled(const std::vector<NetworkLayer>& layers, double network_j);

struct Balance {
  double measured_j = 0, idle_j = 0, layers_j = 0;
  [[nodiscard]] double unattributed_j() const { return measured_j - idle_j - layers_j; }
};
[[nodiscard]] Balance balance(double measured_j, double idle_j, std::span<const LayerJoules> layers);

}  // namespace prony::layers
