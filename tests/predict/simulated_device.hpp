// Networks on a device whose law is known: launch + max of compute and memory, with a noise of a given share.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "predict/dataset.hpp"

namespace prony::predict {

struct Device {
  double flop_s = 2e-11, byte_s = 1e-10, launch_s = 5e-6, grouped = 6;  // grouped convolutions compute so much slower
  [[nodiscard]] double runtime(const Layer& layer) const {
    const double compute = layer.flop() * flop_s * (layer.groups > 1 ? grouped : 1), memory = layer.bytes() * byte_s;
    return launch_s + std::hypot(compute, memory);
  }
};

inline Layer convolution(double batch, double channels, double size, double out, double kernel, double stride,
                         double groups = 1) {
  Layer l;
  l.kind = "convolution", l.batch = batch, l.in = {channels, size, size}, l.kernel = {kernel, kernel},
  l.stride = {stride, stride};
  l.padding = {2 * std::floor(kernel / 2), 2 * std::floor(kernel / 2)}, l.groups = groups;
  const double to = std::floor((size + l.padding[0] - kernel) / stride) + 1;
  l.out = {out, to, to};
  complete(l);
  return l;
}

// Networks net0, net1, …, each in two configurations: convolutions plain and depthwise, pooling, dense layers.
inline Dataset measured_on(const Device& device, std::size_t networks, double noise) {
  Dataset dataset;
  std::uint64_t state = 7;
  const auto chance = [&] {  // 0 to 1
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<double>(state >> 40) / 16777216.0;
  };
  const auto gauss = [&] {
    return std::sqrt(-2 * std::log(1 - chance() * 0.999999)) * std::cos(6.283185307179586 * chance());
  };
  for (std::size_t n = 0; n < networks; ++n) {
    const double width = 8 * std::floor(2 + 4 * chance());
    const double shape = chance(), network_off = 0.3 * noise * gauss();
    for (const double batch : {1.0, 4.0}) {
      double size = 112, channels = 3, out = width;
      std::size_t number = 0;
      const auto add = [&](Layer layer) {
        DatasetRow row;
        row.network = "net" + std::to_string(n), row.config = batch > 1 ? "b4" : "b1";
        layer.name = "layer " + std::to_string(number++);
        row.layer = layer;
        row.runtime_s = device.runtime(layer) * std::exp(network_off + noise * gauss());
        row.energy_j = row.runtime_s * (5 + 20 * layer.flop() * device.flop_s / device.runtime(layer));
        dataset.rows.push_back(row);
      };
      for (int stage = 0; stage < 4; ++stage) {
        add(convolution(batch, channels, size, out, 3, 1));
        add(convolution(batch, out, size, out, shape > 0.5 ? 3 : 5, 1, out));
        add(convolution(batch, out, size, out, 1, 1));
        add(convolution(batch, out, size, 2 * out, 1, 1));
        Layer pool = convolution(batch, 2 * out, size, 2 * out, 2, 2);
        pool.kind = "pooling", pool.padding = {0, 0}, pool.macs = pool.other_operations = pool.bytes_weights = absent;
        complete(pool);
        add(pool);
        size = pool.out[1], channels = 2 * out, out = 2 * out;
      }
      for (const double units : {1000.0, 100.0}) {
        Layer dense;
        dense.kind = "dense", dense.batch = batch, dense.in = {channels, 1, 1}, dense.out = {units, 1, 1};
        complete(dense);
        add(dense);
        channels = units;
      }
    }
  }
  return dataset;
}

}  // namespace prony::predict
