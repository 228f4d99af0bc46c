// FollowCarrier: brings what a ProcessFollower saw into the Run while it is recorded: looks, processes, totals.
// Thread promise: carry() from the session's carrying thread; finish() when that has ended. Owns nothing.
#pragma once

#include <vector>

#include "app/session.hpp"
#include "process/follow.hpp"

namespace prony::app {

class FollowCarrier {
 public:
  FollowCarrier(ProcessFollower& follower, Session& session) : follower_(follower), session_(session) {}

  // The Run's targets: the command's tree first, where there is one.
  void begin(bool with_command);
  void carry();
  // Every process that is known once more: before a Run goes on in another file, and after.
  void restate();
  // The last look, every process once more with all that it used, and what could not be seen.
  void finish();

 private:
  void add_looks();

  ProcessFollower& follower_;
  Session& session_;
  std::vector<ProcessLook> looks_;
  std::vector<ProcessRecord> ended_;
  std::uint32_t written_ = 0;  // the largest number that has a row
};

}  // namespace prony::app
