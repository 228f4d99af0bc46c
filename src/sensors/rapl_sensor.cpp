#include "sensors/rapl_sensor.hpp"

#include "sensors/rapl_perf.hpp"

namespace prony {

RaplSensor::RaplSensor(std::vector<Channel> channels, std::unique_ptr<PerfGroup> group, std::size_t events,
                       std::unique_ptr<Sensor> files, std::optional<unsigned> cpu)
    : channels_(std::move(channels)), group_(std::move(group)), counts_(events), files_(std::move(files)), cpu_(cpu) {}

void RaplSensor::read(std::span<Reading> out) noexcept {
  if (group_) {
    const int status = group_->read(counts_);
    if (status != 0) [[unlikely]]
      untold_.store(-status, std::memory_order_relaxed);
    for (std::size_t i = 0; i < counts_.size(); ++i)
      out[i] = status == 0 ? Reading{static_cast<std::int64_t>(counts_[i]), Quality::ok} : Reading{0, Quality::gap};
  }
  if (files_) files_->read(out.subspan(counts_.size()));
}

std::vector<Unavailable> RaplSensor::complaints() {
  auto result = files_ ? files_->complaints() : std::vector<Unavailable>{};
  if (const int fault = untold_.exchange(0, std::memory_order_relaxed); fault != 0)
    for (std::size_t i = 0; i < counts_.size(); ++i)
      result.push_back({channels_[i].name, channels_[i].device + ": " + perf_read_reason(fault), {}});
  return result;
}

}  // namespace prony
