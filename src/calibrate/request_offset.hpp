// offset_of_requests(): by how much two hosts' clocks differ, from requests that both saw: a client's request begins
// before the server has it and ends after the server is done, whatever the network does. Each pair of the same request
// therefore bounds the offset from both sides, and all of them together bound it to where they overlap. Pure; any
// thread. Errors: usage (too few), malformed (no offset fits most requests, or several that are far apart do). Source:
// the bound of Cristian's algorithm (F. Cristian, "Probabilistic clock synchronization", 1989), applied backwards.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "model/time.hpp"

namespace prony::calibrate {

struct SeenRequest {
  Interval interval;                          // on the clock of who saw it
  std::optional<std::int64_t> output_tokens;  // where known: only equal ones are the same request
};

struct OffsetSearch {
  Duration guess;                          // to be added to the client's times, at first
  Duration within = milliseconds(60'000);  // how far from the guess it may be
};

struct RequestOffset {
  Duration offset;  // to be added to the client's times; the middle of what is possible
  Duration doubt;   // it cannot be farther off than this, if every matched pair is one request
  std::size_t matched = 0, asked = 0;
  std::vector<std::optional<std::size_t>> server_of;  // for each of the client's the server's, at that offset
};

[[nodiscard]] Result<RequestOffset> offset_of_requests(const std::vector<SeenRequest>& server,
                                                       const std::vector<SeenRequest>& client,
                                                       const OffsetSearch& search);

}  // namespace prony::calibrate
