// clock_line_of_requests(): as offset_of_requests(), where one clock runs faster than the other, so that no single
// offset fits the whole Run. The offset is measured among the first requests and among the last; with the rate between
// the two each request is found at the other end; and then every pair bounds the line on which the offset moves, from
// both sides. Pure; any thread. Errors: usage (too few requests), malformed (no line fits). Source: as
// request_offset.hpp; the bounds of a line by A. Duda and others, "Estimating global time in distributed systems",
// 1987.
#pragma once

#include <vector>

#include "base/result.hpp"
#include "calibrate/request_offset.hpp"

namespace prony::calibrate {

struct ClockLine {
  Instant begin, end;                  // of the client's requests, on its clock
  Duration at_begin, at_end;           // to be added to the client's times there, and in between in proportion
  Duration doubt;                      // at neither end it can be farther off, so nowhere between
  std::size_t matched = 0, asked = 0;  // as of RequestOffset
  std::vector<std::optional<std::size_t>> server_of;

  [[nodiscard]] double drift() const {
    return static_cast<double>((at_end - at_begin).ns) / static_cast<double>((end - begin).ns);
  }
  [[nodiscard]] Duration at(Instant client) const;
};

[[nodiscard]] Result<ClockLine> clock_line_of_requests(const std::vector<SeenRequest>& server,
                                                       const std::vector<SeenRequest>& client,
                                                       const OffsetSearch& search);

}  // namespace prony::calibrate
