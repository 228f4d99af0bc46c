// What a power log tells of itself and of the sensor behind it, learned while it is read: mean power over real times
// (trapezoid), how often it was asked, how often its value changed, its smallest step. Pure; constant memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "layers/edgeprofiler.hpp"
#include "layers/recording.hpp"

namespace prony::layers {

class PowerFacts {
 public:
  void add(const PowerReading& reading);
  [[nodiscard]] std::size_t readings() const noexcept { return readings_; }
  [[nodiscard]] std::optional<double> mean_w() const;  // absent below two readings
  [[nodiscard]] std::optional<double> asked_every_ms() const;
  // Time between changes of its value, the lower quartile: its refresh where changes are frequent, else longer.
  [[nodiscard]] std::optional<double> changed_every_ms() const;
  [[nodiscard]] std::optional<double> step_w() const;  // of the current's smallest step at the mean voltage
  [[nodiscard]] double seconds() const;
  [[nodiscard]] std::optional<std::int64_t> first_us() const;
  [[nodiscard]] std::optional<std::int64_t> last_us() const;
  void tell(Recording& recording) const;

 private:
  std::size_t readings_ = 0;
  PowerReading first_, last_;
  std::int64_t changed_us_ = 0;
  bool changed_ = false;
  double area_ = 0, volts_ = 0, least_step_ma_ = 0;
  std::vector<float> asked_ms_, changes_ms_;  // the first of them
};

// The whole log, and what of it was no reading.
[[nodiscard]] Result<Recording> read_power_log(ByteSource& source);

}  // namespace prony::layers
