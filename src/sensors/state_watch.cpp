#include "sensors/state_watch.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace prony {

namespace {
constexpr std::size_t most_state_events = 100;
constexpr std::size_t longest_state_text = 80;
}  // namespace

std::string StateWatch::told(const State& state, std::string_view text) const {
  auto words = state.tell ? state.tell(trim(text)) : printable(trim(text), longest_state_text);
  return words.empty() ? "(empty)" : words;
}

bool StateWatch::add(std::string subject, std::string what, std::string path, Words words) {
  const auto text = machine_->read_text(path);
  if (!text) return false;
  State state{std::move(subject), std::move(what), std::move(path), {}, std::move(words)};
  state.words = told(state, *text);
  states_.push_back(std::move(state));
  return true;
}

std::vector<Event> StateWatch::changes() {
  std::vector<Event> events;
  std::vector<std::size_t> alike;  // how many further subjects each event stands for
  for (auto& state : states_) {
    const auto text = machine_->read_text(state.path);
    if (!text) continue;
    auto now = told(state, *text);
    if (now == state.words) continue;
    auto words = state.what + ": " + state.words + " → " + now;
    state.words = std::move(now);
    const auto same =
        std::find_if(events.begin(), events.end(), [&](const Event& event) { return event.text == words; });
    if (same != events.end()) {
      ++alike[static_cast<std::size_t>(same - events.begin())];
      continue;
    }
    if (events_ > most_state_events) continue;
    if (++events_ > most_state_events) words += "; there are more changes, which are not told";
    events.push_back({machine_->now(), kind_, state.subject, std::move(words)});
    alike.push_back(0);
  }
  for (std::size_t i = 0; i < events.size(); ++i)
    if (alike[i] > 0) events[i].text += " (and " + std::to_string(alike[i]) + " more alike)";
  return events;
}

}  // namespace prony
