// cpu: busy time of all CPUs together.
// reads       cgroup v2 root cpu.stat (µs) or /proc/stat (10 ms), see busy_time.hpp
// unit        seconds of one CPU, counter;  period 1/HZ (4 ms at HZ = 250) or 10 ms;  wrap never
// privilege   none;  part_of nothing
#include <atomic>

#include "sensors/busy_time.hpp"
#include "sensors/rows.hpp"

namespace prony {

namespace {

class CpuSensor final : public Sensor {
 public:
  CpuSensor(BusyTime busy, unsigned cpus) : busy_(std::move(busy)) {
    channel_.name = "cpu.busy";
    channel_.sensor = "cpu";
    channel_.domain = "cpu";
    channel_.measure = Measure::cpu_time;
    busy_.describe(channel_, cpus);
  }
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::fast; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return {&channel_, 1}; }
  void read(std::span<Reading> out) noexcept override {
    out[0] = busy_.read();
    failing_.store(out[0].quality == Quality::gap, std::memory_order_relaxed);
  }
  [[nodiscard]] std::vector<Unavailable> complaints() override {
    if (!failing_.load(std::memory_order_relaxed)) return {};
    return {{channel_.name, busy_.path() + ": cannot be read, or is not the CPU times it should hold", {}}};
  }

 private:
  BusyTime busy_;
  Channel channel_;
  std::atomic<bool> failing_ = false;
};

}  // namespace

Probe make_cpu(Machine& machine, const SensorOptions&) {
  Probe probe;
  auto busy = BusyTime::open(machine);
  if (!busy) {
    probe.unavailable.push_back({"cpu", busy.error().where + ": " + busy.error().what, busy.error().fix});
    return probe;
  }
  probe.sensor = std::make_unique<CpuSensor>(std::move(*busy), machine.cpu_count());
  return probe;
}

}  // namespace prony
