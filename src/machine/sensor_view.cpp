#include "machine/sensor_view.hpp"

#include <algorithm>
#include <cmath>

namespace prony {

Duration UpdateClock::update(std::int64_t k) const noexcept {
  auto at = phase.ns + k * period.ns;
  // A little less than half: two neighbours that move towards each other stay apart.
  const auto most = std::min(jitter.ns, (period.ns - 1) / 2);
  if (most > 0) {
    const auto hash = mixed_hash(seed, static_cast<std::uint64_t>(k));
    at += static_cast<std::int64_t>(hash % (2 * static_cast<std::uint64_t>(most) + 1)) - most;
  }
  return {at};
}

Duration UpdateClock::last(Duration t) const noexcept {
  if (period.ns <= 0) return t;
  const auto since = t.ns - phase.ns;
  const auto rest = ((since % period.ns) + period.ns) % period.ns;
  auto k = (since - rest) / period.ns + 1;  // its successor may have come early
  while (update(k) > t) --k;
  return update(k);
}

std::uint64_t CounterView::raw(const PowerCurve& curve, Duration t) const noexcept {
  const auto used = static_cast<std::uint64_t>(curve.joules(updates.last(t)).quanta(quantum_j));
  auto quanta = start_quanta + used;  // modulo 2^64, as a register; before the curve's 0 it counts back
  if (wrap_quanta > 0) {
    // Unsigned remainders of what went below 0 would be wrong unless wrap_quanta divides 2^64.
    const auto signed_used = static_cast<std::int64_t>(used);
    const auto wrap = static_cast<std::int64_t>(wrap_quanta);
    const auto rest = ((signed_used % wrap) + wrap) % wrap;
    quanta = (start_quanta % wrap_quanta + static_cast<std::uint64_t>(rest)) % wrap_quanta;
  }
  if (counts_per_quantum == 1) return quanta;
  return static_cast<std::uint64_t>(std::floor(static_cast<double>(quanta) * counts_per_quantum));
}

std::uint64_t CounterView::largest_raw() const noexcept {
  if (wrap_quanta == 0) return 0;
  return static_cast<std::uint64_t>(std::floor(static_cast<double>(wrap_quanta - 1) * counts_per_quantum));
}

std::int64_t GaugeView::raw(const PowerCurve& curve, Duration t) const noexcept {
  const auto at = updates.last(t);
  const double watts =
      window.ns > 0 ? curve.joules(at - window, at).value() / window.seconds().value() : curve.watts(at).value();
  const double counts = offset_counts + watts * counts_per_w;
  return static_cast<std::int64_t>(std::floor(counts / quantum_counts) * quantum_counts);
}

}  // namespace prony
