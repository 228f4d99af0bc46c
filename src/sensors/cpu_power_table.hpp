// Power of a machine's processors by family: the coefficients of the modelled channel.
//
// Figures: cpu_power_rows.hpp. They are wide ranges, not measurements of this machine: low … high held at least 95 % of
// the published results that the family's line was fitted to, with everything that else draws power in such a server
// taken off between its own bounds; no coverage is claimed for this machine. Thread promise: pure functions.
#pragma once

#include <optional>

#include "model/channel.hpp"
#include "sensors/cpu_family.hpp"

namespace prony {

// What is known of the machine besides the processor's name.
struct CpuPowerContext {
  unsigned cpus = 1;         // logical CPUs online
  double clock_limit = 1.0;  // highest clock allowed now ÷ highest clock of the processor; 1: no limit, or not known
  double clock_floor = 0.6;  // clock that is kept under any load ÷ the highest; 0.6: not told (Core i7-1165G7: 2.8/4.7)
  // Means over the frequency policies; absent: the kernel does not tell. The reference is the base clock; without turbo
  // the highest one; where there may be turbo and no base clock is told, 0.6 of the highest.
  std::optional<double> reference_clock_hz = {}, highest_clock_hz = {};
};
[[nodiscard]] CpuPowerContext cpu_power_context(Machine& machine);

// Coefficients of all packages together. Unknown processor: the widest range per CPU, said in the name. A virtual
// machine sees threads of packages of which it knows neither size nor neighbours: per visible CPU, from a thread of the
// largest package to a whole core of the smallest. For a Run that records no clocks, a limit scales what load adds: by
// the limit (voltage stays), and the low end by its cube (voltage falls with it: P = C · V² · f), and the low end is
// taken at the clock's floor: it is wider for that. Where clocks are recorded, readers put them in place of both.
[[nodiscard]] PowerModel power_model_for(const ProcessorId& processor, const CpuPowerContext& context);

}  // namespace prony
