// What was done to a recording while it ran, in the words of the summary.
#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "model/interval_change.hpp"
#include "reports/figures.hpp"
#include "reports/text_parts.hpp"

namespace prony::text {

std::vector<std::string> pace_words(const Summary& summary) {
  struct Lane {
    std::size_t changes = 0;
    Duration slowest;
  };
  std::map<std::string, Lane> lanes;
  for (const Event& event : summary.events) {
    const auto change = interval_change_from(event);
    if (!change) continue;
    Lane& lane = lanes[event.subject];
    ++lane.changes;
    lane.slowest = std::max(lane.slowest, change->interval);
  }
  std::vector<std::string> words;
  for (const auto& [name, lane] : lanes)
    words.push_back("budget: lane " + printable(name, 24) + " slowed to " +
                    figures::seconds(lane.slowest.seconds().value()) + " at most (" + std::to_string(lane.changes) +
                    (lane.changes == 1 ? " change)" : " changes)"));
  return words;
}

bool is_state_change(const Event& event) {
  return event.kind == "clock-control" || event.kind == "power-supply" || event.kind == "limit";
}

std::vector<std::string> state_change_words(const Summary& summary) {
  constexpr std::size_t most = 4;
  std::vector<std::string> words;
  std::size_t more = 0;
  for (const Event& event : summary.events) {
    if (!is_state_change(event)) continue;
    if (words.size() == most) {
      ++more;
      continue;
    }
    words.push_back(printable(event.text, 120) + " (" + printable(event.subject, 40) + ", at " +
                    figures::seconds((event.at - summary.window.begin).seconds().value()) + ")");
  }
  if (more > 0) words.push_back(std::to_string(more) + (more == 1 ? " more change" : " more changes") + ": --json");
  return words;
}

}  // namespace prony::text
