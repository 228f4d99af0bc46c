#include "model/interval_change.hpp"

#include <algorithm>
#include <string>

#include "base/text.hpp"

namespace prony {

namespace {

std::string duration_text(Duration duration) {
  // Whole nanoseconds, so that reading it back gives the same.
  if (duration.ns % 1'000'000 == 0) return std::to_string(duration.ns / 1'000'000) + "ms";
  return std::to_string(duration.ns) + "ns";
}

}  // namespace

Event interval_change_event(Instant at, std::string_view group, Duration from, Duration to, std::string_view why) {
  return {at, std::string(interval_changed), std::string(group),
          "from " + duration_text(from) + " to " + duration_text(to) + ": " + std::string(why)};
}

std::optional<IntervalChange> interval_change_from(const Event& event) {
  constexpr std::string_view before = "from ", between = " to ";
  const std::string_view text = event.text;
  if (event.kind != interval_changed || !text.starts_with(before)) return std::nullopt;
  const std::size_t to = text.find(between), end = text.find(':');
  if (to == std::string_view::npos || end == std::string_view::npos || end < to + between.size()) return std::nullopt;
  const auto ns = parse_duration_ns(text.substr(to + between.size(), end - to - between.size()));
  if (!ns || *ns <= 0) return std::nullopt;
  return IntervalChange{event.at, Duration{*ns}};
}

void add_interval_changes(std::span<const Event> events, std::vector<Group>& groups) {
  for (const Event& event : events) {
    const auto change = interval_change_from(event);
    if (!change) continue;
    for (Group& group : groups)
      if (group.name == event.subject) group.changes.push_back(*change);
  }
  for (Group& group : groups) std::ranges::sort(group.changes, {}, &IntervalChange::at);
}

}  // namespace prony
