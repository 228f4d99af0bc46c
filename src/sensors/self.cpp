// self: Prony's own CPU time, all threads.
// reads       CLOCK_PROCESS_CPUTIME_ID;  unit ns, counter;  period 1/HZ for threads that run elsewhere;  wrap never
// privilege   none;  part_of nothing (inside cpu.busy, which is not energy)
#include "sensors/rows.hpp"

namespace prony {

namespace {

class SelfSensor final : public Sensor {
 public:
  explicit SelfSensor(Machine& machine) : machine_(machine) {
    channel_.name = "prony.cpu";
    channel_.sensor = "self";
    channel_.device = "process";
    channel_.domain = "prony";
    channel_.measure = Measure::cpu_time;
    channel_.kind = ChannelKind::counter;
    channel_.scope = Scope::prony;
    channel_.scale = 1e-9;
    channel_.update_period = machine.tick_period();
  }
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::fast; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return {&channel_, 1}; }
  void read(std::span<Reading> out) noexcept override { out[0] = {machine_.own_cpu_time().ns, Quality::ok}; }

 private:
  Machine& machine_;
  Channel channel_;
};

}  // namespace

Probe make_self(Machine& machine, const SensorOptions&) { return {std::make_unique<SelfSensor>(machine), {}}; }

}  // namespace prony
