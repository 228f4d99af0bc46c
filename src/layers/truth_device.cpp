#include "layers/truth_device.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

namespace prony::layers {

namespace {

constexpr double launch_s = 4e-6;  // between two runs of a looped layer

struct Position {
  std::size_t next = 0;
  double until_cut_s = 0;
  std::size_t last = 0;
};

double varied(double seconds, TruthRandom& random) { return seconds * (0.95 + 0.1 * random.uniform()); }

// Layers 0…last, then a pause.
Segment next_of(const TrueNetwork& network, Position& at, TruthRandom& random) {
  if (at.next > at.last) {
    at.next = 0;
    return {5e-5 + 3e-4 * random.uniform(), Segment::idle};
  }
  const std::size_t layer = at.next++;
  return {varied(network.seconds[layer], random), layer};
}

}  // namespace

double TruthRandom::uniform() {  // splitmix64
  state_ += 0x9e3779b97f4a7c15u;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1.0p-53;
}

double TruthRandom::normal() {
  // Twelve uniform numbers less six: deviation 1, and exact to the bit on every machine, as a logarithm is not.
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += uniform();
  return sum;
}

TrueNetwork true_network(std::size_t layers, TruthRandom& random) {
  TrueNetwork network;
  for (std::size_t i = 0; i < layers; ++i) {
    network.seconds.push_back(3e-5 * std::pow(10.0, random.uniform()));  // 0.03 to 0.3 ms
    network.above_idle_w.push_back(1.2 + 7.8 * random.uniform());
  }
  return network;
}

Schedule as_it_runs(const TrueNetwork& network, TruthRandom& random) {
  return cut_behind(network, network.seconds.size() - 1, random);
}

Schedule cut_behind(const TrueNetwork& network, std::size_t last, TruthRandom& random) {
  auto at = std::make_shared<Position>();
  at->last = last;
  return [&network, &random, at] { return next_of(network, *at, random); };
}

Schedule with_cuts(const TrueNetwork& network, double window_s, TruthRandom& random) {
  auto at = std::make_shared<Position>();
  return [&network, &random, at, window_s] {
    if (at->until_cut_s <= 0 && (at->next == 0 || at->next > at->last)) {
      at->last = random.below(network.seconds.size());
      at->until_cut_s = window_s * (2 + 3 * random.uniform());
    }
    const Segment segment = next_of(network, *at, random);
    at->until_cut_s -= segment.seconds;
    return segment;
  };
}

Schedule looped(const TrueNetwork& network, std::size_t layer, TruthRandom& random) {
  auto launched = std::make_shared<bool>(false);
  return [&network, &random, layer, launched] {
    *launched = !*launched;
    return *launched ? Segment{varied(network.seconds[layer], random), layer} : Segment{launch_s, Segment::idle};
  };
}

Watched watch(const TrueNetwork& network, const Schedule& schedule, const PowerSensor& sensor, std::size_t windows,
              TruthRandom& random, const std::function<void(double, const Segment&)>& each) {
  Watched watched;
  watched.occupancy.layers = network.seconds.size();
  const double window = sensor.window_s;
  std::vector<double> filled(network.seconds.size(), 0.0);
  double now = 0, left = 0, busy = 0;
  Segment segment;
  for (std::size_t i = 0; i < windows; ++i) {
    const double end = window * static_cast<double>(i + 1);
    double joules = 0;
    std::ranges::fill(filled, 0.0);
    while (now < end) {
      if (left <= 0) {
        segment = schedule();
        left = segment.seconds;
        if (each) each(now, segment);
      }
      const double part = std::min(left, end - now);
      const bool idle = segment.layer == Segment::idle;
      joules += part * (network.idle_w + (idle ? 0 : network.above_idle_w[segment.layer]));
      if (!idle) filled[segment.layer] += part, busy += part;
      left -= part;
      // The last part of a window ends it exactly, so that rounding cannot leave a sliver.
      now = part == end - now ? end : now + part;
    }
    for (const double one : filled) watched.occupancy.shares.push_back(one / window);
    const double noisy = joules / window + sensor.noise_w * random.normal();
    const double told = sensor.step_w > 0 ? std::round(noisy / sensor.step_w) * sensor.step_w : noisy;
    watched.occupancy.watts.push_back(told);
    watched.readings.push_back({end, told});
    watched.joules += joules;
  }
  watched.seconds = window * static_cast<double>(windows);
  watched.busy = busy / watched.seconds;
  return watched;
}

}  // namespace prony::layers
