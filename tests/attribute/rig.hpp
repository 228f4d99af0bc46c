// A machine on paper for the tests of attribute(): power curves with energy in closed form, counters that renew
// themselves now and then, sensors that poll them, and the truth beside it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "attribute/attribute.hpp"

namespace prony::rig {

inline constexpr std::int64_t second = 1'000'000'000;
inline constexpr std::int64_t millisecond = 1'000'000;
inline constexpr std::int64_t origin = 1000 * second;

// Steps of constant power; energy(t) is exact to double.
struct Power {
  std::vector<std::int64_t> at{origin};  // begin of each step; the last one goes on
  std::vector<double> watts{10};
  [[nodiscard]] double energy(std::int64_t t) const {
    double sum = 0;
    for (std::size_t i = 0; i < at.size(); ++i) {
      const std::int64_t end = i + 1 < at.size() ? std::min(at[i + 1], t) : t;
      if (end > at[i]) sum += watts[i] * static_cast<double>(end - at[i]) * 1e-9;
    }
    return sum;
  }
  [[nodiscard]] double operator()(std::int64_t t) const {
    std::size_t i = 0;
    while (i + 1 < at.size() && at[i + 1] <= t) ++i;
    return watts[i];
  }
};

inline Power random_power(std::mt19937_64& random, std::int64_t length, double least = 5, double most = 120) {
  Power power;
  power.at.clear();
  power.watts.clear();
  std::uniform_real_distribution<double> watts(least, most);
  std::exponential_distribution<double> step(1 / 0.15);
  for (std::int64_t t = origin; t < origin + length; t += 1 + static_cast<std::int64_t>(step(random) * 1e9)) {
    power.at.push_back(t);
    power.watts.push_back(watts(random));
  }
  return power;
}

// What a channel shows when it is read at t.
using Source = std::function<Reading(std::int64_t t)>;

struct Recording {
  std::vector<Channel> channels;
  std::vector<Group> groups;
  std::vector<Span> spans;
  std::vector<std::vector<Source>> sources;  // by group

  Channel& add(Group& group, std::vector<Source>& list, Channel channel, Source source) {
    channel.id = ChannelId{static_cast<std::uint32_t>(channels.size() + 1)};
    group.channels.push_back(channel.id);
    list.push_back(std::move(source));
    channels.push_back(std::move(channel));
    return channels.back();
  }
};

struct Tick {
  std::int64_t begin = 0, end = 0;
  std::vector<Reading> readings;
};

inline std::vector<TickBlock> in_blocks(GroupId group, const std::vector<Tick>& ticks, std::size_t size) {
  std::vector<TickBlock> blocks;
  for (const Tick& tick : ticks) {
    if (blocks.empty() || blocks.back().full()) blocks.emplace_back(group, tick.readings.size(), size);
    blocks.back().push(Instant{tick.begin}, Instant{tick.end}, tick.readings);
  }
  return blocks;
}

inline Channel energy_counter(std::int64_t period_ns, std::string name = "rapl.package-0.energy") {
  Channel channel;
  channel.name = std::move(name);
  channel.sensor = "rapl";
  channel.domain = "package-0";
  channel.measure = Measure::energy;
  channel.kind = ChannelKind::counter;
  channel.scale = 1e-6;
  channel.max_rate = 1000;
  channel.update_period = Duration{period_ns};
  return channel;
}

// Renews itself every `period` at `phase`, truncated to `step` counts; wraps at `range` (0: never), starting from
// `start`.
inline Source counter_of(Power power, std::int64_t period, std::int64_t phase, std::uint64_t range = 0,
                         std::uint64_t start = 0, std::uint64_t step = 1) {
  return [=](std::int64_t t) {
    const std::int64_t update = origin + (t - origin - phase) / period * period + phase;
    const double joules = power.energy(std::min(t, update));
    std::uint64_t counts = start + static_cast<std::uint64_t>(joules * 1e6) / step * step;
    if (range > 0) counts %= range;
    return Reading{static_cast<std::int64_t>(counts), Quality::ok};
  };
}

inline std::vector<Tick> poll(const std::vector<Source>& sources, std::int64_t from, std::int64_t to,
                              std::int64_t interval, std::int64_t read_ns = 5000) {
  std::vector<Tick> ticks;
  for (std::int64_t t = from; t <= to; t += interval) {
    Tick tick{t, t + read_ns, {}};
    for (const Source& source : sources) tick.readings.push_back(source(t + read_ns / 2));
    ticks.push_back(std::move(tick));
  }
  return ticks;
}

inline Span span(std::uint64_t id, SpanKind kind, std::string name, std::int64_t begin, std::int64_t end,
                 std::uint64_t parent = 0) {
  Span result;
  result.id = SpanId{id};
  result.parent = SpanId{parent};
  result.kind = kind;
  result.name = std::move(name);
  result.interval = {Instant{begin}, Instant{end}};
  return result;
}

inline double sum_of_charges(const Ledger& ledger, ChannelId channel) {
  double sum = 0;
  for (const Charge& charge : ledger.charges)
    if (charge.channel == channel) sum += charge.joules.value;
  return sum;
}

inline const SpanEnergy* span_energy(const Ledger& ledger, std::uint64_t span_id) {
  for (const SpanEnergy& energy : ledger.spans)
    if (energy.span.value == span_id) return &energy;
  return nullptr;
}

}  // namespace prony::rig
