// SumSensor: a sensor whose channels are sums of integers in kept-open files (one counter per CPU, core or interface),
// so that a machine with hundreds of CPUs has as few channels as a small one.
// Thread promise: as Sensor. Ownership: owns its files; the Machine must outlive it. Errors: a sum that lacks one of
// its parts is a gap with the reason, never the sum of the rest.
#pragma once

#include <string>
#include <vector>

#include "sensors/integer_file.hpp"
#include "sensors/sensor.hpp"

namespace prony {

// The most files that one sensor keeps open: three eighths of what this program may have, for up to two sensors of a
// machine need one per CPU; and no more than a machine of 4096 CPUs with four idle states has.
[[nodiscard]] std::size_t most_files_of_sensor(const Machine& machine) noexcept;

class SumSensorBuilder {
 public:
  explicit SumSensorBuilder(Machine& machine) : machine_(machine) {}

  // Adds a channel that holds Σ of these files; files that cannot be read now are noted and left out of the sum for
  // good. True: at least one is in it.
  bool add(Channel channel, const std::vector<std::string>& paths, const std::string& remedy = {});
  [[nodiscard]] std::size_t size() const noexcept { return channels_.size(); }
  [[nodiscard]] std::vector<Unavailable>& unavailable() noexcept { return unavailable_; }
  [[nodiscard]] Probe finish(LaneKind lane);

 private:
  Machine& machine_;
  std::vector<Channel> channels_;
  std::vector<std::vector<IntegerFile>> parts_;
  std::vector<Unavailable> unavailable_;
};

}  // namespace prony
