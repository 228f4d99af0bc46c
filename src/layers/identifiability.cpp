#include "layers/identifiability.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

namespace prony::layers {

namespace {

std::string time_text(double seconds) {
  if (seconds < 1e-3) return format_fixed(seconds * 1e6, seconds < 1e-5 ? 1 : 0) + " µs";
  if (seconds < 1) return format_fixed(seconds * 1e3, seconds < 0.01 ? 2 : 0) + " ms";
  return format_fixed(seconds, 1) + " s";
}

}  // namespace

Identifiability identify(const PowerSensor& sensor, const std::vector<NamedTime>& layers, double active_w,
                         double precision) {
  Identifiability told;
  // A step is a doubt of its own, spread evenly.
  const double doubt = std::sqrt(sensor.noise_w * sensor.noise_w + sensor.step_w * sensor.step_w / 12);
  const double allowed = precision * active_w;
  double readings = least_readings;
  if (allowed > 0) readings = std::max(readings, std::ceil(std::pow(1.96 * doubt / allowed, 2)));
  told.readings = static_cast<std::size_t>(std::min(readings, 1e9));
  told.loop_s = static_cast<double>(told.readings) * std::max(sensor.period_s, sensor.window_s) + sensor.window_s;
  double shortest = 0, longest = 0, fewest = 0, most = 0;
  for (const NamedTime& layer : layers) {
    Need need{layer.name, layer.seconds, layer.seconds >= sensor.window_s + sensor.period_s, std::nullopt};
    told.in_place += need.in_place;
    if (layer.seconds > 0) {
      need.repetitions = std::ceil(told.loop_s / layer.seconds);
      shortest = shortest > 0 ? std::min(shortest, layer.seconds) : layer.seconds;
      longest = std::max(longest, layer.seconds);
      fewest = fewest > 0 ? std::min(fewest, *need.repetitions) : *need.repetitions;
      most = std::max(most, *need.repetitions);
    }
    told.layers.push_back(std::move(need));
  }
  if (!layers.empty() && told.in_place == layers.size()) {
    told.verdict = "resolvable in place: each layer lasts longer than the sensor's window";
    return told;
  }
  const std::string loops = "each layer looped for " + time_text(told.loop_s) + " (" + format_fixed(fewest, 0) +
                            (most > fewest ? " to " + format_fixed(most, 0) : std::string()) + " repetitions)";
  told.verdict = "not resolvable: needs " + loops + "; layers last " + time_text(shortest) +
                 (longest > shortest ? " to " + time_text(longest) : std::string()) + ", a reading is a mean over " +
                 time_text(sensor.window_s) +
                 (told.in_place > 0 ? "; " + std::to_string(told.in_place) + " of " + std::to_string(layers.size()) +
                                          " layers are seen in place"
                                    : "");
  return told;
}

}  // namespace prony::layers
