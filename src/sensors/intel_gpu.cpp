// intel-gpu: Intel graphics processors under i915 or xe: energy of cards, clock, what throttles them.
// reads       of each card's hwmon energy1_input (µJ: the card), energy2_input (xe: the package on it); clock in MHz:
//             gt/gt0/rps_act_freq_mhz (i915), device/tile0/gt0/freq0/act_freq (xe)
// unit        J (counter), Hz;  wrap 64 bits, the driver folds the register's 32
// period      the register's, about 1 ms; not documented
// states      gt/gt0/throttle_reason_* (i915), device/tile0/gt0/freq0/throttle/reason_* (xe): each change is an event
// part_of     package < card. Graphics inside a processor have no such counter: RAPL's uncore holds them
// privilege   none (xe: energy may be root's);  lane energy fast, clock slow
// source      Documentation/ABI/testing/sysfs-driver-intel-i915-hwmon, sysfs-driver-intel-xe-hwmon; i915_sysfs (rps),
//             drivers/gpu/drm/xe/xe_gt_freq.c, xe_gt_throttle.c
#include <algorithm>

#include "base/text.hpp"
#include "sensors/drm_cards.hpp"
#include "sensors/file_sensor.hpp"
#include "sensors/rows.hpp"
#include "sensors/state_watch.hpp"

namespace prony {

namespace {

constexpr std::size_t most_reasons = 24;

Channel intel_channel(const DrmCard& card, const std::string& what, Measure measure, double scale) {
  return card_channel("intel-gpu", card, what, measure, scale);
}

void add_energy_counters(Machine& machine, const DrmCard& card, FileSensorBuilder& builder) {
  if (card.hwmon.empty()) return;
  std::optional<ChannelId> whole;
  for (const auto& [file, what] : {std::pair{"energy1_input", ""}, {"energy2_input", "package"}}) {
    const auto path = card.sensors() + "/" + file;
    if (!machine.exists(path)) continue;
    auto channel = intel_channel(card, what, Measure::energy, 1e-6);
    channel.kind = ChannelKind::counter;
    channel.part_of = whole;
    if (builder.add(std::move(channel), path, "sudo chmod a+r " + path + "   (until reboot)") && !whole)
      whole = ChannelId{static_cast<std::uint32_t>(builder.size() - 1)};
  }
}

std::string gt_folder(Machine& machine, const DrmCard& card) {
  for (const auto& folder : {card.path + "/gt/gt0", card.device() + "/tile0/gt0/freq0"})
    if (machine.exists(folder)) return folder;
  return {};
}

// Clock and throttling of one card.
class IntelConditions final : public Sensor {
 public:
  IntelConditions(std::unique_ptr<Sensor> files, StateWatch watch)
      : files_(std::move(files)), watch_(std::move(watch)) {}
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::slow; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return files_->channels(); }
  void read(std::span<Reading> out) noexcept override { files_->read(out); }
  [[nodiscard]] std::vector<Event> changes() override { return watch_.changes(); }
  [[nodiscard]] std::vector<Unavailable> complaints() override { return files_->complaints(); }

 private:
  std::unique_ptr<Sensor> files_;
  StateWatch watch_;
};

void watch_reasons(Machine& machine, const DrmCard& card, const std::string& folder, StateWatch& watch) {
  const auto words = [](std::string_view text) { return std::string(text == "0" ? "no" : text == "1" ? "yes" : "?"); };
  std::size_t watched = 0;
  for (const auto& [where, prefix] :
       {std::pair{folder, std::string("throttle_reason_")}, {folder + "/throttle", std::string("reason_")}})
    for (const auto& file : machine.list(where).value_or(std::vector<std::string>{}))
      if (file.starts_with(prefix) && watched < most_reasons &&
          watch.add("intel-gpu." + card.domain, "slowed by " + file.substr(prefix.size()), where + "/" + file, words))
        ++watched;
}

}  // namespace

Probe make_intel_gpu(Machine& machine, const SensorOptions&) {
  const auto cards = drm_cards(machine, {"i915", "xe"});
  Probe probe;
  if (cards.empty()) {
    probe.unavailable.push_back({"intel-gpu", "no card of the drivers i915 or xe in /sys/class/drm", {}});
    return probe;
  }
  FileSensorBuilder energy(machine), clocks(machine);
  StateWatch watch(machine, "throttle");
  for (const auto& card : cards) {
    add_energy_counters(machine, card, energy);
    const auto folder = gt_folder(machine, card);
    for (const char* file : {"rps_act_freq_mhz", "act_freq"})
      if (!folder.empty() && machine.exists(folder + "/" + file))
        clocks.add(intel_channel(card, "clock", Measure::frequency, 1e6), folder + "/" + file);
    if (!folder.empty()) watch_reasons(machine, card, folder, watch);
  }
  auto slow = clocks.finish(LaneKind::slow);
  if (slow.sensor) slow.sensor = std::make_unique<IntelConditions>(std::move(slow.sensor), std::move(watch));
  probe = energy.finish(LaneKind::fast);
  probe.unavailable.insert(probe.unavailable.end(), slow.unavailable.begin(), slow.unavailable.end());
  const bool measures = probe.sensor != nullptr;
  if (!measures)
    probe.sensor = std::move(slow.sensor);
  else if (slow.sensor)
    probe.more.push_back(std::move(slow.sensor));
  if (!measures && probe.unavailable.empty())
    probe.notes.push_back(
        {"intel-gpu",
         "no energy counter: graphics inside the processor are in RAPL's uncore or package, and cards "
         "need Linux 6.2 (i915) or 6.5 (xe)",
         {}});
  if (!probe.sensor && probe.unavailable.empty()) std::swap(probe.unavailable, probe.notes);
  return probe;
}

}  // namespace prony
