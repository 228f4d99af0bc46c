// lay_clocks(): what to add to the times of one host's Run to have them on the clock of another's, and how far off that
// may be. Tried in this order: an offset that the user names; requests that both saw (the server's Run is a proxy's);
// the shape of the load (requests on their way at the client, work at the server). Thread promise: one thread. Errors:
// usage (words, nothing to compare), malformed (no offset fits, or several do).
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/span.hpp"
#include "store/run.hpp"

namespace prony::app {

struct MergeClockOptions {
  std::string offset, doubt;  // of the wall clocks; empty: found
  std::string within = "60s";
};

struct LaidClocks {
  Duration offset;                    // to be added to the client's monotonic times; where they drift, at `from`
  Duration doubt;                     // to either side
  std::string kind;                   // what the doubt promises: "bound", "interval(0.95)", "as named"
  std::string method;                 // in words
  std::vector<SpanId> same_requests;  // of the server's Run: those that are the client's
  double drift = 0;                   // by how much the offset grows for each second of the client's
  Instant from = {};

  [[nodiscard]] Duration at(Instant client) const {
    return offset + Duration{std::llround(drift * static_cast<double>((client - from).ns))};
  }
};

[[nodiscard]] Result<LaidClocks> lay_clocks(const Run& server, const Run& client, const MergeClockOptions& options,
                                            const std::string& target);

}  // namespace prony::app
