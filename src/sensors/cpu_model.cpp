// cpu-model: the stand-in where nothing measures CPU energy: power modelled from busy time, labelled so everywhere.
// reads       the host's busy CPU time, the same source as `cpu` (busy_time.hpp); no watts are read anywhere
// model       E = idle · Δt + (full − idle) · Δbusy / CPUs, with the family's figures (cpu_power_table.hpp) as a range
// period      1/HZ or 10 ms;  privilege none;  part_of nothing;  never added to measured joules
#include "sensors/busy_time.hpp"
#include "sensors/cpu_power_table.hpp"
#include "sensors/rows.hpp"

namespace prony {

Probe make_cpu_model(Machine& machine, const SensorOptions&) {
  Channel channel;
  channel.name = "cpu-model.cpu.power";
  channel.sensor = "cpu-model";
  channel.domain = "cpu";
  channel.measure = Measure::power;
  channel.origin = Origin::modelled;
  channel.model = power_model_for(processor_id(machine), cpu_power_context(machine));
  return make_busy_sensor(machine, std::move(channel));
}

}  // namespace prony
