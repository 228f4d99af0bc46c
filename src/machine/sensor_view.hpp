// What a sensor shows of a power curve: a counter that steps at its update period by whole quanta and wraps, or a gauge
// that shows the mean over its averaging window. The integers are those that stand in the sensor's file.
// Units: in the names; times are those of the curve. Thread promise: pure functions of const data, no allocation.
// Source: how RAPL and hwmon drivers round (kernel drivers/powercap/intel_rapl_common.c, drivers/hwmon).
#pragma once

#include <cstdint>

#include "machine/power_curve.hpp"
#include "model/time.hpp"

namespace prony {

// When a source renews its value: at phase + k · period, each update moved by up to ±jitter, always the same for the
// same seed. Updates never change places: jitter counts for at most a little less than half a period.
struct UpdateClock {
  Duration period;  // 0: at every read
  Duration phase;
  Duration jitter;
  std::uint64_t seed = 0;

  // The last update at or before `t`.
  [[nodiscard]] Duration last(Duration t) const noexcept;
  // The k-th update.
  [[nodiscard]] Duration update(std::int64_t k) const noexcept;
};

struct CounterView {
  UpdateClock updates;
  double quantum_j = 1e-6;         // step of the register
  double counts_per_quantum = 1;   // what the file shows of one: 61.03515625 µJ, 15.2587890625 µJ, …
  std::uint64_t wrap_quanta = 0;   // the register goes back to 0 after this many; 0: never
  std::uint64_t start_quanta = 0;  // what it shows at the curve's 0

  // The file's integer at `t`, rounded down as drivers do.
  [[nodiscard]] std::uint64_t raw(const PowerCurve& curve, Duration t) const noexcept;
  // The largest raw value there can be: powercap's max_energy_range_uj. 0: it never wraps.
  [[nodiscard]] std::uint64_t largest_raw() const noexcept;
};

struct GaugeView {
  UpdateClock updates;
  Duration window;            // mean over this long before the update; 0: the power at the update
  double counts_per_w = 1e6;  // hwmon: µW
  double offset_counts = 0;   // what it shows at 0 W (a temperature's start)
  double quantum_counts = 1;  // readings are whole multiples of this, rounded down

  [[nodiscard]] std::int64_t raw(const PowerCurve& curve, Duration t) const noexcept;
};

}  // namespace prony
