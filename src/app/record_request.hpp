// What a recording was asked for, checked before anything is made or overwritten. Thread promise: plain values.
// Errors: usage, with the option and the form that it must have; absent where what is to be kept to cannot be seen.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/common.hpp"
#include "app/control.hpp"
#include "app/session.hpp"
#include "model/manifest.hpp"

namespace prony::app {

struct RecordTimes {
  Duration interval;               // between two ticks of the fast lanes
  Duration baseline;               // 0: none is measured
  std::optional<Duration> length;  // of a recording without a command; absent: until Ctrl-C
};
[[nodiscard]] Result<RecordTimes> record_times(const RecordOptions& options);
// All that can be told of them before the machine is looked at: times, factors, limits, tags, meters, a simulated
// machine's name.
[[nodiscard]] Result<void> check_record_options(const RecordOptions& options);
// Limits of temperature and of Prony's own cost; `sensors`: those that are open.
[[nodiscard]] Result<ControlOptions> control_options(const RecordOptions& options, const SensorSet& sensors);
// Each "k=v" as the fact "tag.k".
[[nodiscard]] Result<void> add_tags(const std::vector<std::string>& tags, Manifest& manifest);

}  // namespace prony::app
