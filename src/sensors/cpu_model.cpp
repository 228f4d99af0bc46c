// cpu-model: the stand-in where nothing measures CPU energy: power modelled from busy time, labelled so everywhere.
// reads       the host's busy CPU time, the same source as `cpu` (busy_time.hpp); no watts are read anywhere
// model       E = idle · Δt + (full − idle) · Δbusy / CPUs, with the family's figures (cpu_power_table.hpp) as a range
// period      1/HZ or 10 ms;  privilege none;  part_of nothing;  never added to measured joules
#include <atomic>

#include "sensors/busy_time.hpp"
#include "sensors/cpu_power_table.hpp"
#include "sensors/rows.hpp"

namespace prony {

namespace {

class CpuModelSensor final : public Sensor {
 public:
  CpuModelSensor(BusyTime busy, PowerModel model, unsigned cpus) : busy_(std::move(busy)) {
    channel_.name = "cpu-model.cpu.power";
    channel_.sensor = "cpu-model";
    channel_.domain = "cpu";
    channel_.measure = Measure::power;
    channel_.origin = Origin::modelled;
    channel_.model = std::move(model);
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

Probe make_cpu_model(Machine& machine, const SensorOptions&) {
  Probe probe;
  auto busy = BusyTime::open(machine);
  if (!busy) {
    probe.unavailable.push_back({"cpu-model", busy.error().where + ": " + busy.error().what, busy.error().fix});
    return probe;
  }
  const auto cpus = machine.cpu_count();
  probe.sensor = std::make_unique<CpuModelSensor>(std::move(*busy), power_model_for(processor_id(machine), cpus), cpus);
  return probe;
}

}  // namespace prony
