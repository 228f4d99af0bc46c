// to_text(): what is printed at the end of a recording and by `prony show`: the same bytes for the same Summary, width
// and colour. The answer first, the conditions beside it, doubt visible, the next step named. `~` marks modelled
// figures, nothing marks measured ones. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>

#include "reports/summary.hpp"

namespace prony {

struct TextOptions {
  std::size_t width = 100;  // columns; at least 40 are used
  bool colour = false;      // ANSI colours; nothing needs them to be read
  std::size_t top = 10;     // rows of single processes, where they were followed
};

[[nodiscard]] std::string to_text(const Summary& summary, const TextOptions& options);
// Every setting in effect, and whether it came from a flag, the environment, a file or the default.
[[nodiscard]] std::string settings_text(const Summary& summary, const TextOptions& options);

}  // namespace prony
