// live_line(): the one line of progress on a terminal, from plain numbers. Pure; any thread. Units: seconds, tokens per
// second, watts. Never wider than `width` columns; what does not fit is left out from the end.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "reports/figures.hpp"

namespace prony {

struct LiveStatus {
  std::size_t done = 0, total = 0;  // requests; total 0: not known, no bar
  double elapsed_s = 0;
  double tokens_per_s = 0;  // 0: not known
  std::optional<double> power_w;
  figures::Mark power_mark = figures::Mark::unmarked;
  std::string note;        // "loading", "warm-up", a prompt's id; last on the line once there is a time left
  bool simulated = false;  // of a simulated machine: said beside the power
};

[[nodiscard]] std::string live_line(const LiveStatus& status, std::size_t width);

}  // namespace prony
