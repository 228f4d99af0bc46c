// What a probed sensor shows, as text that a test can compare.
#pragma once

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "sensors/sensor.hpp"

namespace prony {

inline constexpr Instant when_counted{2'000'000'000};  // simulated perf events have counted by then

// "name=raw<parent" of every channel, in order.
inline std::vector<std::string> seen(const Probe& probe) {
  std::vector<std::string> result;
  if (!probe.sensor) return result;
  const auto channels = probe.sensor->channels();
  std::vector<Reading> readings(channels.size());
  probe.sensor->read(readings);
  for (std::size_t i = 0; i < channels.size(); ++i) {
    EXPECT_EQ(channels[i].id.value, i);
    std::string text =
        channels[i].name + "=" + (readings[i].quality == Quality::ok ? std::to_string(readings[i].raw) : "gap");
    if (channels[i].part_of) text += "<" + channels[channels[i].part_of->value].domain;
    result.push_back(text);
  }
  return result;
}

inline const Channel* channel_named(const Probe& probe, std::string_view name) {
  if (!probe.sensor) return nullptr;
  for (const auto& channel : probe.sensor->channels())
    if (channel.name == name) return &channel;
  return nullptr;
}

}  // namespace prony
