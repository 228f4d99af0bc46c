// amdgpu: AMD graphics processors: power or energy, clocks, load, memory of each card.
// reads       of each card's hwmon energy1_input (µJ, where there is one), power1_average, power1_input (µW),
// freq1_input
//             and freq2_input (Hz: shaders, memory); of its device gpu_busy_percent, mem_busy_percent,
//             mem_info_vram_used (bytes). Temperatures and fans: hwmon-climate. Power caps: throttle
// unit        J, W, Hz, fraction, bytes;  wrap 64 bits, never
// period      not documented: the firmware's, between 1 ms and 100 ms; learned by `prony probe amdgpu`
// averaging   power1_average is the firmware's own mean over a time that AMD does not tell
// part_of     power < energy; instant < average of the same card. A card's power is known coverage; that of a processor
//             with graphics inside (in1_input, the north bridge's voltage, is told on those only) is the whole
//             processor's and overlaps RAPL: never added
// privilege   none
// lane        energy and power fast, or a thread of their own where one read of all takes over 100 µs; else slow
// source      Documentation/gpu/amdgpu/thermal.rst, driver-misc.rst
#include <array>

#include "sensors/drm_cards.hpp"
#include "sensors/file_sensor.hpp"
#include "sensors/rows.hpp"

namespace prony {

namespace {

constexpr Duration fast_enough{100'000};

Channel channel_for(const DrmCard& card, const std::string& what, Measure measure, double scale) {
  return card_channel("amdgpu", card, what, measure, scale);
}

void add_energy(Machine& machine, const DrmCard& card, FileSensorBuilder& builder) {
  if (card.hwmon.empty()) return;
  const bool inside_processor = machine.exists(card.sensors() + "/in1_input");
  std::optional<ChannelId> whole;
  const auto add = [&](const char* file, Channel channel) {
    const auto path = card.sensors() + "/" + file;
    if (!machine.exists(path)) return;
    channel.coverage_known = !inside_processor;
    channel.part_of = whole;
    if (builder.add(std::move(channel), path) && !whole)
      whole = ChannelId{static_cast<std::uint32_t>(builder.size() - 1)};
  };
  auto energy = channel_for(card, {}, Measure::energy, 1e-6);
  energy.kind = ChannelKind::counter;
  add("energy1_input", std::move(energy));
  add("power1_average", channel_for(card, {}, Measure::power, 1e-6));
  auto instant = channel_for(card, {}, Measure::power, 1e-6);
  if (builder.has(instant.name)) instant = channel_for(card, "instant", Measure::power, 1e-6);
  add("power1_input", std::move(instant));
}

void add_conditions(Machine& machine, const DrmCard& card, FileSensorBuilder& builder) {
  struct Row {
    const char *what, *file;
    Measure measure;
    double scale;
    bool sensors;
  };
  static constexpr std::array<Row, 5> rows{{{"load", "gpu_busy_percent", Measure::fraction, 0.01, false},
                                            {"memory-load", "mem_busy_percent", Measure::fraction, 0.01, false},
                                            {"vram", "mem_info_vram_used", Measure::memory, 1, false},
                                            {"clock", "freq1_input", Measure::frequency, 1, true},
                                            {"memory-clock", "freq2_input", Measure::frequency, 1, true}}};
  for (const auto& row : rows) {
    if (row.sensors && card.hwmon.empty()) continue;
    const auto path = (row.sensors ? card.sensors() : card.device()) + "/" + row.file;
    if (machine.exists(path)) builder.add(channel_for(card, row.what, row.measure, row.scale), path);
  }
}

}  // namespace

Probe make_amdgpu(Machine& machine, const SensorOptions&) {
  FileSensorBuilder energy(machine), conditions(machine);
  const auto cards = drm_cards(machine, {"amdgpu"});
  for (const auto& card : cards) {
    add_energy(machine, card, energy);
    add_conditions(machine, card, conditions);
  }
  Probe probe;
  if (cards.empty()) {
    probe.unavailable.push_back({"amdgpu", "no card of the driver amdgpu in /sys/class/drm", {}});
    return probe;
  }
  const auto lane = energy.read_time() <= fast_enough ? LaneKind::fast : LaneKind::blocking;
  auto slow = conditions.finish(LaneKind::slow);
  probe = energy.finish(lane);
  probe.unavailable.insert(probe.unavailable.end(), slow.unavailable.begin(), slow.unavailable.end());
  if (!probe.sensor)
    probe.sensor = std::move(slow.sensor);
  else if (slow.sensor)
    probe.more.push_back(std::move(slow.sensor));
  if (!probe.sensor && probe.unavailable.empty())
    probe.unavailable.push_back({"amdgpu", "the card tells neither power nor load", "a newer kernel may tell them"});
  return probe;
}

}  // namespace prony
