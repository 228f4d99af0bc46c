// A lane that changed its pace while it recorded (an overhead budget): told as an Event of the Run, read back from it,
// so that a slower pace is not taken for gaps. Thread promise: pure functions.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "model/manifest.hpp"
#include "model/sample.hpp"

namespace prony {

inline constexpr std::string_view interval_changed = "interval-changed";  // Event::kind; the subject is the group

// "from 10ms to 20ms: WHY". `at`: before the first tick at the new pace.
[[nodiscard]] Event interval_change_event(Instant at, std::string_view group, Duration from, Duration to,
                                          std::string_view why);
// Nothing, if the event is another or its text was not written by interval_change_event().
[[nodiscard]] std::optional<IntervalChange> interval_change_from(const Event& event);
// Gives each group its changes, in the order in which they happened.
void add_interval_changes(std::span<const Event> events, std::vector<Group>& groups);

}  // namespace prony
