// RaplSensor: energy counters of one package (or of all, where powercap alone is read): first those of a perf group, by
// one call, then those of files. Thread promise: as Sensor. Ownership: owns both; the Machine must outlive it.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "sensors/sensor.hpp"

namespace prony {

class RaplSensor final : public Sensor {
 public:
  // `channels`: the group's events, then the channels of `files`. Either may be null, not both.
  RaplSensor(std::vector<Channel> channels, std::unique_ptr<PerfGroup> group, std::size_t events,
             std::unique_ptr<Sensor> files, std::optional<unsigned> cpu);

  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::fast; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override;
  [[nodiscard]] std::optional<unsigned> home_cpu() const noexcept override { return cpu_; }
  [[nodiscard]] std::vector<Unavailable> complaints() override;

 private:
  std::vector<Channel> channels_;
  std::unique_ptr<PerfGroup> group_;
  std::vector<std::uint64_t> counts_;  // one per event
  std::unique_ptr<Sensor> files_;
  std::optional<unsigned> cpu_;
  std::atomic<int> untold_ = 0;  // errno of the last failed read, until somebody asked
};

}  // namespace prony
