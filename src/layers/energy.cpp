#include "layers/energy.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.hpp"

namespace prony::layers {

namespace {

// 97.5 % quantile of Student's t, to 0.2 % from 4 degrees on (Peizer and Pratt's kind of expansion in 1/degrees).
double t_quantile(double degrees) {
  constexpr double z = 1.959964;
  const double z3 = z * z * z, z5 = z3 * z * z;
  return z + (z3 + z) / (4 * degrees) + (5 * z5 + 16 * z3 + 3 * z) / (96 * degrees * degrees);
}

double half_width(const Interval95& one) { return (one.high - one.low) / 2; }

}  // namespace

std::string_view to_string(Method method) noexcept {
  constexpr std::array<std::string_view, 4> words{"isolated", "ablated", "regressed", "modelled"};
  return words[std::min(static_cast<std::size_t>(method), words.size() - 1)];
}

Expected<Interval95, std::string> power_in(std::span<const SensorReading> readings, const PowerSensor& sensor,
                                           double begin_s, double end_s) {
  double sum = 0, squares = 0;
  std::size_t count = 0;
  for (const SensorReading& one : readings) {
    if (one.end_s - sensor.window_s < begin_s || one.end_s > end_s) continue;
    sum += one.w;
    squares += one.w * one.w;
    ++count;
  }
  if (count < least_readings) {
    const double needed =
        static_cast<double>(least_readings) * std::max(sensor.period_s, sensor.window_s) + sensor.window_s;
    return Unexpected<std::string>("not resolvable: " + std::to_string(count) + " readings lie wholly in it, needs " +
                                   std::to_string(least_readings) + ", which take " + format_fixed(needed, 3) + " s");
  }
  const auto n = static_cast<double>(count);
  const double mean = sum / n;
  const double deviation = std::sqrt(std::max(0.0, (squares - sum * mean) / (n - 1)));
  // Windows that overlap say the same thing twice.
  const double independent =
      sensor.window_s > sensor.period_s ? std::max(2.0, n * sensor.period_s / sensor.window_s) : n;
  double error = t_quantile(std::max(4.0, independent - 1)) * deviation / std::sqrt(independent);
  // Below half a step of noise all readings may be rounded the same way.
  if (deviation < sensor.step_w / 2) error += sensor.step_w / 2;
  return Interval95{mean, mean - error, mean + error};
}

LayerJoules isolated(const NamedTime& layer, const Interval95& gross_w, double busy, const Interval95& idle_w) {
  LayerJoules out{layer.name, Method::isolated, std::nullopt, std::nullopt, {}};
  if (!(busy > 0) || busy > 1) {
    out.absent = "how much of the loop the layer filled is not known";
    return out;
  }
  // gross = idle·(1 − busy) + layer·busy, so what is above idle fills `busy` of the stint.
  const double value = (gross_w.value - idle_w.value) / busy;
  const double error = std::hypot(half_width(gross_w), half_width(idle_w)) / busy;
  out.above_idle_w = Interval95{value, value - error, value + error};
  out.above_idle_j =
      Interval95{value * layer.seconds, (value - error) * layer.seconds, (value + error) * layer.seconds};
  return out;
}

LayerJoules isolated(const NamedTime& layer, std::span<const SensorReading> readings, const PowerSensor& sensor,
                     double begin_s, double end_s, double busy, const Interval95& idle_w) {
  const auto gross = power_in(readings, sensor, begin_s, end_s);
  if (gross || !(busy > 0) || busy > 1) return isolated(layer, gross ? *gross : Interval95{}, busy, idle_w);
  return {layer.name, Method::isolated, std::nullopt, std::nullopt, gross.error()};
}

LayerJoules ablated(const NamedTime& layer, const Interval95& with_j, const Interval95& without_j) {
  LayerJoules out{layer.name, Method::ablated, std::nullopt, std::nullopt, {}};
  const double value = with_j.value - without_j.value;
  const double error = std::hypot(half_width(with_j), half_width(without_j));
  out.above_idle_j = Interval95{value, value - error, value + error};
  if (layer.seconds > 0)
    out.above_idle_w =
        Interval95{value / layer.seconds, (value - error) / layer.seconds, (value + error) / layer.seconds};
  return out;
}

std::vector<LayerJoules> modelled(const std::vector<NetworkLayer>& layers, double network_j) {
  double macs = 0, bytes = 0;
  for (const NetworkLayer& layer : layers) {
    macs += layer.macs.value_or(0);
    bytes += layer.bytes_moved().value_or(0);
  }
  std::vector<LayerJoules> out;
  double given = 0;
  for (const NetworkLayer& layer : layers) {
    LayerJoules one{layer.name, Method::modelled, std::nullopt, std::nullopt, {}};
    std::optional<double> by_macs, by_bytes;
    if (layer.macs && macs > 0) by_macs = *layer.macs / macs * network_j;
    if (layer.bytes_moved() && bytes > 0) by_bytes = *layer.bytes_moved() / bytes * network_j;
    if (by_macs || by_bytes) {
      const double first = by_macs.value_or(by_bytes.value_or(0)), second = by_bytes.value_or(first);
      one.above_idle_j = Interval95{(first + second) / 2, std::min(first, second), std::max(first, second)};
      given += one.above_idle_j->value;
    } else {
      one.absent = layer.absent.empty() ? "neither its multiply-adds nor its bytes are known" : layer.absent;
    }
    out.push_back(std::move(one));
  }
  // Where a figure stood in for the other, shares do not add up to one by themselves; more than there is is never
  // given.
  if (given > network_j && given > 0)
    for (LayerJoules& one : out)
      if (one.above_idle_j) {
        one.above_idle_j->value *= network_j / given;
        one.above_idle_j->low = std::min(one.above_idle_j->low, one.above_idle_j->value);
      }
  return out;
}

Balance balance(double measured_j, double idle_j, std::span<const LayerJoules> layers) {
  Balance sums{measured_j, idle_j, 0};
  for (const LayerJoules& layer : layers)
    if (layer.above_idle_j) sums.layers_j += layer.above_idle_j->value;
  return sums;
}

}  // namespace prony::layers
