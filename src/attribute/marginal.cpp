#include "attribute/marginal.hpp"

#include <algorithm>
#include <cmath>

#include "attribute/attribute.hpp"
#include "attribute/state.hpp"
#include "base/text.hpp"

namespace prony::attribution {

Marginal marginal_of(const Estimate& above, const CoTenants& others) {
  if (!others.baseline_cpus) return {{}, "what others used of the CPUs while the baseline was measured is not known"};
  if (!others.foreign_s) return {{}, "what others used of the CPUs in the window is not known"};
  const double more_s = *others.foreign_s - *others.baseline_cpus * others.length_s;
  const double quiet_s = quiet_baseline_cpus * others.length_s;
  if (std::abs(more_s) > std::max(quiet_s, largest_edge_share * others.targets_s))
    return {{},
            "others used " + format_fixed(*others.foreign_s / others.length_s, 2) + " CPUs in the window and " +
                format_fixed(*others.baseline_cpus, 2) +
                " during the baseline: what would have been drawn without the targets is not known"};
  // What is above the baseline, shared by the CPU time that is: the whole of the targets', of the others' what they
  // used more, or less, than then.
  const double sum_s = others.targets_s + more_s;
  const double share = more_s == 0 ? 0 : std::clamp(more_s / (sum_s > 0 ? sum_s : std::abs(more_s)), -1.0, 1.0);
  const double of_others = above.value * share, doubt = std::abs(of_others);
  return {Estimate{above.value - of_others, above.low - of_others - doubt, above.high - of_others + doubt,
                   weaker(above.kind, EstimateKind::interval_95)},
          {}};
}

}  // namespace prony::attribution
