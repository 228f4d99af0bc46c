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

// The most files that one sensor keeps open: a program may have 1024 in all unless its user raised that.
inline constexpr std::size_t most_open_files = 384;

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
