#include <algorithm>

#include "base/text.hpp"
#include "reports/text_layout.hpp"
#include "reports/text_parts.hpp"

namespace prony::text {

namespace {

// A channel of a sensor that is there, or a sensor that somebody else may read: worth a line of its own.
bool mendable(const Unavailable& one) {
  return one.subject.find('.') != std::string::npos || one.reason.find("ermission denied") != std::string::npos ||
         one.reason.find("not permitted") != std::string::npos;
}

}  // namespace

std::string remedies(const Summary& s, const TextOptions& o) {
  struct Group {
    const Unavailable* first;
    std::size_t more;
  };
  std::vector<Group> groups;
  std::string not_here;
  for (const Unavailable& one : s.manifest.unavailable) {
    if (one.remedy.empty()) continue;
    if (!mendable(one)) {
      not_here += (not_here.empty() ? "" : ", ") + printable(one.subject, 40);
      continue;
    }
    const auto same =
        std::find_if(groups.begin(), groups.end(), [&](const Group& g) { return g.first->remedy == one.remedy; });
    if (same == groups.end()) {
      groups.push_back({&one, 0});
    } else {
      ++same->more;
    }
  }
  std::string out;
  const auto line = [&](const std::vector<std::string>& items) {
    out += layout::labelled(out.empty() ? "not measured" : "", items, o.width, layout::Tone::plain, o.colour);
  };
  for (const Group& group : groups)
    line({printable(group.first->subject, 60) +
          (group.more > 0 ? " and " + std::to_string(group.more) + " more: " : ": ") +
          printable(group.first->reason, 200) + ". " + printable(group.first->remedy, 300)});
  if (!not_here.empty()) line({not_here + ": not on this machine", "why and how: `prony sensors`"});
  return out;
}

}  // namespace prony::text
