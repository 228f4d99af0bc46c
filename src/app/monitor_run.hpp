// monitor(): watches this machine, and targets where some are named, until it is stopped, and tells sinks at each
// interval. The same sensors, selectors and attribution as record(). Thread promise: one thread.
#pragma once

#include <string>
#include <vector>

#include "app/common.hpp"
#include "model/manifest.hpp"

namespace prony::app {

struct MonitorPlan {
  RecordOptions options;           // interval, sensors, meters, machine, targets, tags, quiet
  std::string metrics;             // "cpu,power"; "": all
  std::vector<std::string> sinks;  // as on the command line
  std::vector<Fact> facts;         // settings
};

// The exit code: 0 after a stop by signal or --for, also where a sink lost frames (which is told).
[[nodiscard]] int monitor(MonitorPlan plan);

}  // namespace prony::app
