#include "app/follow_carrier.hpp"

#include <algorithm>

namespace prony::app {

void FollowCarrier::begin(bool with_command) {
  if (with_command) session_.add(Target{std::string(command_target), ""});
  for (const Target& target : follower_.targets()) session_.add(target);
}

void FollowCarrier::add_looks() {
  looks_.clear();
  follower_.take_looks(looks_);
  for (const ProcessLook& look : looks_) session_.add(look);
}

// Whoever a look names gets a row at once, so that a recording that is killed knows whose its joules were.
void FollowCarrier::carry() {
  add_looks();
  ended_.clear();
  follower_.take_ended(ended_);
  for (const ProcessRecord& process : ended_) session_.add(process);
  const bool strangers = std::ranges::any_of(
      looks_, [&](const ProcessLook& look) { return !look.uses.empty() && look.uses.back().process > written_; });
  if (!strangers) return;
  std::uint32_t largest = written_;
  for (const ProcessLook& look : looks_)
    if (!look.uses.empty()) largest = std::max(largest, look.uses.back().process);
  for (const ProcessRecord& process : follower_.processes())
    if (process.number > written_) {
      session_.add(process);
      largest = std::max(largest, process.number);
    }
  written_ = largest;
}

void FollowCarrier::restate() {
  for (const ProcessRecord& process : follower_.processes()) session_.add(process);
}

void FollowCarrier::finish() {
  follower_.look_now();
  add_looks();
  for (const ProcessRecord& process : follower_.processes()) session_.add(process);
  for (const Unavailable& missing : follower_.unavailable()) session_.add(missing);
}

}  // namespace prony::app
