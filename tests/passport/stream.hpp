// Streams of reads whose truth is known: a source that renews its value at chosen instants, read at others.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "passport/learn.hpp"
#include "passport/parts.hpp"

namespace prony::passport::test {

// xorshift64*: no platform's library changes it.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}
  std::uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1dULL;
  }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  double normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return sum;
  }

 private:
  std::uint64_t state_;
};

struct Stream {
  std::vector<std::int64_t> begin, end, raw;
  std::vector<Quality> quality;
  [[nodiscard]] Ticks ticks() const { return {begin, end, raw, quality}; }
  void add(std::int64_t at_ns, std::int64_t cost_ns, std::int64_t value, Quality q = Quality::ok) {
    begin.push_back(at_ns);
    end.push_back(at_ns + cost_ns);
    raw.push_back(value);
    quality.push_back(q);
  }
};

inline constexpr std::int64_t start_ns = 7'000'000'000'000;  // some hours of uptime

// Reads every `poll_ns` (with `wobble` of it at random) for `length_ns`; `updates` are the instants at which the source
// renews, and `value(k)` what it shows after the k-th (k from 0; before the first: value(0)).
inline Stream read(const std::vector<std::int64_t>& updates, const std::function<std::int64_t(std::size_t)>& value,
                   std::int64_t poll_ns, double wobble, std::int64_t length_ns, Random& random,
                   std::int64_t cost_ns = 600) {
  Stream stream;
  std::size_t k = 0;
  for (double t = 0; t < static_cast<double>(length_ns);
       t += static_cast<double>(poll_ns) * (1 + wobble * (random.uniform() - 0.5))) {
    const auto at = start_ns + static_cast<std::int64_t>(t);
    while (k + 1 < updates.size() && updates[k + 1] <= at + cost_ns / 2) ++k;
    stream.add(at, cost_ns, value(k));
  }
  return stream;
}

// Updates on a grid, each off by a normal error of `jitter_ns`.
inline std::vector<std::int64_t> grid(double period_ns, double jitter_ns, std::int64_t length_ns, Random& random) {
  std::vector<std::int64_t> updates;
  for (double t = 0.37 * period_ns; t < static_cast<double>(length_ns); t += period_ns)
    updates.push_back(start_ns + static_cast<std::int64_t>(t + jitter_ns * random.normal()));
  return updates;
}

inline Channel counter(const char* name = "rapl.package-0.energy") {
  Channel channel;
  channel.name = name;
  channel.measure = Measure::energy;
  channel.kind = ChannelKind::counter;
  channel.scale = 1e-6;
  channel.range = 262'143'328'850;
  channel.max_rate = 500;
  return channel;
}

inline Channel power_gauge(const char* name = "hwmon.vdd.power") {
  Channel channel;
  channel.name = name;
  channel.measure = Measure::power;
  channel.kind = ChannelKind::gauge;
  channel.scale = 1e-3;
  return channel;
}

}  // namespace prony::passport::test
