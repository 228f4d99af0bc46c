// What a server tells Prometheus: lines "name{labels} value [time]", text format 0.0.4 or OpenMetrics 1.0. Read by
// name, whatever else stands there. Pure; any thread. Errors: none: a line that is none of these is counted. Bounds:
// the caller's text. Source: Prometheus' docs/instrumenting/exposition_formats.md; OpenMetrics 1.0.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace prony {

struct MetricLine {
  std::string_view name;
  std::string_view labels;  // between the braces, as they stand there; "": none
  double value = 0;         // finite
};
// Calls `take` for each sample in order; gives how many lines were neither sample nor comment, or had no finite value.
std::size_t for_each_metric(std::string_view text, const std::function<void(const MetricLine&)>& take);

}  // namespace prony
