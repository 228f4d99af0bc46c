// OpenMetrics: the series of a monitor as text that Prometheus scrapes, in OpenMetrics 1.0 or in the older text format
// 0.0.4. Names are prony_*, in base units; counters end in _total. Pure. Thread promise: plain values.
// Source: the OpenMetrics specification 1.0; Prometheus' docs/instrumenting/exposition_formats.md and naming practices.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sinks/stream.hpp"

namespace prony {

struct MetricFamily {
  std::string name;  // without _total
  std::string help;
  bool counter = false;
  std::vector<std::string> labels;  // per series, as they stand in braces
  std::vector<std::size_t> places;  // of the values in a Frame
};
// By name; the series in the order of `head`.
[[nodiscard]] std::vector<MetricFamily> metric_families(const StreamHead& head);

struct Exposition {
  const StreamHead& head;
  const std::vector<MetricFamily>& families;
  const Frame* frame = nullptr;  // null: there is none, or it is too old to be told
  bool open_metrics = false;
};
[[nodiscard]] std::string exposition(const Exposition& what);

}  // namespace prony
