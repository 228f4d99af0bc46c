#include "attribute/part.hpp"

#include <algorithm>
#include <cmath>

namespace prony::attribution {

double share_of(double part, double whole) noexcept { return whole != 0 ? std::clamp(part / whole, 0.0, 1.0) : 0; }

Estimate part_of(double value, const Estimate& whole, double share_doubt) noexcept {
  const double share = share_of(value, whole.value);
  const double least = std::max(0.0, share - share_doubt);
  const double most = std::min(1.0, share + share_doubt);
  const double low = std::min(least * whole.low, most * whole.low);
  const double high = std::max(least * whole.high, most * whole.high);
  const auto kind = weaker(whole.kind, EstimateKind::interval_95);
  const bool is_share = whole.value != 0 && value / whole.value >= 0 && value / whole.value <= 1;
  if (is_share) return {value, std::min(low, value), std::max(high, value), kind};
  const double nearest = share * whole.value;
  const double beyond = share_doubt * std::abs(value - nearest);
  return {value, value - (nearest - std::min(low, nearest)) - beyond,
          value + (std::max(high, nearest) - nearest) + beyond, kind};
}

Estimate part_by_time(double value, const Estimate& whole, double share_doubt, double time_share) noexcept {
  const bool is_share = whole.value != 0 && value / whole.value >= 0 && value / whole.value <= 1;
  if (is_share || value == 0 || whole.low >= 0)
    return part_of(value, whole, share_doubt * share_of(value, whole.value));
  const double beyond = share_doubt * std::abs(value);
  return {value, value - time_share * (whole.value - whole.low) - beyond,
          value + time_share * (whole.high - whole.value) + beyond, weaker(whole.kind, EstimateKind::interval_95)};
}

Estimate rest_of(double told, const Estimate& whole, double skew) noexcept {
  constexpr double rounding = 1e-12;
  const double left = whole.value - told;
  const double rest = std::abs(left) > rounding * std::abs(whole.value) ? left : 0;
  return part_of(rest, whole, share_of(rest, whole.value) * skew);
}

}  // namespace prony::attribution
