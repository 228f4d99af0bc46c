#include "sensors/rapl_limits.hpp"

#include <algorithm>

#include "sensors/file_sensor.hpp"

namespace prony {

namespace {

// Where nothing is documented: no package draws more for long, nor twelve channels of memory, nor one mainboard.
constexpr double package_w = 1000;
constexpr double memory_w = 500;
constexpr double platform_w = 4000;
// Firmware writes the largest that a field holds where it means "no limit": 4095 W, 4090 W.
constexpr double no_limit_w = 4000;
// Maximum turbo power is up to 3.7 times the design power of small processors (15 W: 55 W) and 2 times that of large
// ones (125 W: 253 W), and boards lift the limits: docs/sensors/rapl.md has the figures.
constexpr double lifted = 3, lifted_extra_w = 100;
// Limits hold for an average over a window; a count may be that much ahead of it.
constexpr double over_limit = 1.25;

std::optional<double> limit_watts(Machine& machine, const std::string& path) {
  const auto uw = probe_integer(machine, path);
  if (!uw || *uw <= 0) return std::nullopt;
  const double w = static_cast<double>(*uw) * 1e-6;
  return w < no_limit_w ? std::optional(w) : std::nullopt;
}

}  // namespace

RaplLimits read_rapl_limits(Machine& machine, const std::string& zone_path) {
  RaplLimits limits;
  for (int i = 0; i < 4; ++i) {
    const auto constraint = zone_path + "/constraint_" + std::to_string(i);
    const auto name = machine.read_text(constraint + "_name");
    const auto most = limit_watts(machine, constraint + "_max_power_uw");
    // Trees without names list the long term first, as the driver does.
    if (most && (name ? *name == "long_term" : i == 0)) limits.design_w = most;
    for (const auto& w : {most, limit_watts(machine, constraint + "_power_limit_uw")})
      if (w) limits.largest_limit_w = std::max(*w, limits.largest_limit_w.value_or(0));
  }
  return limits;
}

double believable_rapl_w(RaplKind kind, const RaplLimits& own, const RaplLimits& package) {
  const auto at_least_limits = [](double w, const RaplLimits& limits) {
    return std::max(w, over_limit * limits.largest_limit_w.value_or(0));
  };
  switch (kind) {
    case RaplKind::psys: return std::max(platform_w, at_least_limits(0, own));
    case RaplKind::dram:
      return at_least_limits(own.design_w ? std::min(memory_w, lifted * *own.design_w + lifted_extra_w) : memory_w,
                             own);
    default: break;
  }
  // What lies in a package draws no more than the package.
  double w = package_w;
  if (package.design_w) w = std::min(lifted * *package.design_w + lifted_extra_w, std::max(w, 2 * *package.design_w));
  return at_least_limits(at_least_limits(w, package), own);
}

}  // namespace prony
