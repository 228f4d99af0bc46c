// The variants of a study as sides of a comparison: of each, the Runs that count. Read of the study's manifest alone,
// without what reads study files. Thread promise: one thread. Errors: malformed (a manifest that is none), absent (no
// run counts of the one that is named, or of the first), usage (no variant of that name).
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace prony::app {

struct StudySide {
  std::string variant;
  std::vector<std::string> runs;  // paths; empty: none of them counts
};

// Whether `path` is a study's folder, or one with a variant's name behind a colon: "studies/x:F16".
[[nodiscard]] bool names_study(const std::string& path);
// All its variants in their order, or the one that is named.
[[nodiscard]] Result<std::vector<StudySide>> sides_of_study(const std::string& path);

}  // namespace prony::app
