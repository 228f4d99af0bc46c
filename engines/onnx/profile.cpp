#include "profile.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

namespace prony_engine {

namespace {

using nlohmann::json;

constexpr std::int64_t longest_us = 4'000'000'000'000;  // 46 days

struct Event {
  std::int64_t begin = 0, duration = 0, thread = 0;
  std::size_t node = 0;
  bool control = false;
  std::size_t place = 0;  // among the events as told
};

std::string text_of(const json& from, const char* key) {
  const auto found = from.find(key);
  return found != from.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<std::int64_t> whole_of(const json& from, const char* key) {
  const auto found = from.find(key);
  if (found == from.end() || !found->is_number_integer() || *found < 0 || *found > longest_us) return std::nullopt;
  return found->get<std::int64_t>();
}

// "features.0_kernel_time" → "features.0"; others are waits around it.
std::optional<std::string> kernel_name(const std::string& name) {
  constexpr std::string_view suffix = "_kernel_time";
  if (!name.ends_with(suffix)) return std::nullopt;
  return name.substr(0, name.size() - suffix.size());
}

// Events inside the time of a control node before them are its subgraph's.
std::vector<Event> without_nested(std::vector<Event> events, std::size_t& nested) {
  for (std::size_t i = 0; i < events.size(); ++i) events[i].place = i;
  std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
    if (a.begin != b.begin) return a.begin < b.begin;
    return a.duration != b.duration ? a.duration > b.duration : a.place < b.place;
  });
  std::vector<Event> kept;
  std::int64_t control_until = -1;
  for (const Event& one : events) {
    if (one.begin + one.duration <= control_until) {
      ++nested;
      continue;
    }
    if (one.control) control_until = std::max(control_until, one.begin + one.duration);
    kept.push_back(one);
  }
  return kept;
}

class Reader {
 public:
  void line(const std::string& text) {
    const std::size_t begin = text.find('{'), end = text.rfind('}');
    if (begin == std::string::npos || end == std::string::npos || end < begin) return;
    const json event = json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                                   text.begin() + static_cast<std::ptrdiff_t>(end) + 1, nullptr, false);
    if (!event.is_object()) {
      problem_ = "a line is no JSON; a node's name with a quote, a backslash or a control character makes it so";
      return;
    }
    ++events_;
    const auto at = whole_of(event, "ts"), took = whole_of(event, "dur");
    if (!at || !took) return;
    const std::string kind = text_of(event, "cat"), name = text_of(event, "name");
    if (kind == "Session" && name == "model_run") return run(*at, *took);
    const auto node = kind == "Node" ? kernel_name(name) : std::nullopt;
    if (!node) return;
    const json arguments = event.value("args", json::object());
    const std::string op = text_of(arguments, "op_name");
    pending_.push_back({*at, *took, whole_of(event, "tid").value_or(0),
                        number_of({*node, op, text_of(arguments, "provider")}, text_of(arguments, "node_index")),
                        op == "If" || op == "Loop" || op == "Scan"});
  }

  Profile finish() {
    if (events_ >= most_profile_events) problem_ = "more events than ONNX Runtime keeps: ask for fewer runs";
    profile_.problem = problem_;
    keep_timed_nodes();
    return std::move(profile_);
  }

 private:
  // Names may be empty, or not be unique.
  std::size_t number_of(ProfiledNode node, const std::string& index) {
    const auto [it, fresh] = numbers_.emplace(std::pair(node.name, index), profile_.nodes.size());
    if (fresh) profile_.nodes.push_back(std::move(node));
    return it->second;
  }

  void run(std::int64_t at, std::int64_t took) {
    ProfiledRun one{at, took, {}};
    for (const Event& event : without_nested(std::move(pending_), profile_.nested))
      one.nodes.push_back({event.node, event.begin, event.duration});
    pending_.clear();
    profile_.runs.push_back(std::move(one));
  }

  // A node whose every event was within an If, a Loop or a Scan has no time of its own: no row of "0 s".
  void keep_timed_nodes() {
    std::vector<bool> timed(profile_.nodes.size());
    for (const ProfiledRun& run : profile_.runs)
      for (const NodeTime& one : run.nodes) timed[one.node] = true;
    std::vector<std::size_t> place(profile_.nodes.size());
    std::vector<ProfiledNode> kept;
    for (std::size_t i = 0; i < place.size(); ++i) {
      place[i] = kept.size();
      if (timed[i]) kept.push_back(std::move(profile_.nodes[i]));
    }
    profile_.nodes = std::move(kept);
    for (ProfiledRun& run : profile_.runs)
      for (NodeTime& one : run.nodes) one.node = place[one.node];
  }

  Profile profile_;
  std::map<std::pair<std::string, std::string>, std::size_t> numbers_;
  std::vector<Event> pending_;
  std::size_t events_ = 0;
  std::string problem_;
};

}  // namespace

Profile read_profile(std::istream& in) {
  Reader reader;
  std::string line;
  while (std::getline(in, line)) reader.line(line);
  return reader.finish();
}

}  // namespace prony_engine
