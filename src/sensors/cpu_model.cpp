// cpu-model: the stand-in where nothing measures CPU energy: power modelled from busy time, labelled so everywhere.
// reads       the host's busy CPU time, the same source as `cpu` (busy_time.hpp); no watts are read anywhere
// model       E = idle · Δt + (full − idle) · Δbusy / CPUs, with the family's figures (cpu_power_table.hpp) as a range
// calibrated  with what `prony calibrate` kept of this machine it is derived: the line's figures (docs/calibrate.md)
// period      1/HZ or 10 ms;  privilege none;  part_of nothing;  never added to measured joules
#include "sensors/busy_time.hpp"
#include "sensors/cpu_power_table.hpp"
#include "sensors/rows.hpp"

namespace prony {

Probe make_cpu_model(Machine& machine, const SensorOptions& options) {
  Channel channel;
  channel.name = "cpu-model.cpu.power";
  channel.sensor = "cpu-model";
  channel.domain = "cpu";
  channel.measure = Measure::power;
  channel.origin = Origin::modelled;
  channel.model = power_model_for(processor_id(machine), cpu_power_context(machine));
  std::vector<Unavailable> notes;
  if (options.calibrated)
    if (const auto done = options.calibrated(channel, options.clocks); !done)
      notes.push_back({"calibration", done.error().what, done.error().fix});
  Probe probe = make_busy_sensor(machine, std::move(channel));
  probe.notes.insert(probe.notes.end(), notes.begin(), notes.end());
  return probe;
}

}  // namespace prony
