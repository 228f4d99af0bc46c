// Marginal energy: what would not have been drawn in the same window without the targets, from a baseline in which
// others ran as they did in the window. Formula, and what it cannot know: docs/methodology.md §5. Pure; joules,
// seconds.
#pragma once

#include <optional>
#include <string>

#include "model/charge.hpp"

namespace prony::attribution {

struct CoTenants {
  std::optional<double> baseline_cpus;  // CPUs that others used while the baseline was measured; absent: not known
  std::optional<double> foreign_s;      // CPU time that others used in the window; absent: not known
  double targets_s = 0;                 // CPU time of all targets in the window
  double length_s = 0;                  // of the window
};

// `above`: gross − the baseline's power × the window. Error: one sentence that says why it cannot be told.
struct Marginal {
  std::optional<Estimate> energy;
  std::string absent;
};
[[nodiscard]] Marginal marginal_of(const Estimate& above, const CoTenants& others);

}  // namespace prony::attribution
