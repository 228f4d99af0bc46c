// raspberry: what the firmware of a Raspberry Pi tells of its board: power of the supply rails (Raspberry Pi 5 and its
// kin), temperature, clocks and voltage of the processor, and why it was slowed.
// reads       the firmware, through /dev/vcio, /dev/vcio_gencmd or vcgencmd (raspberry_firmware.hpp); each rail's
// current
//             and voltage of `pmic_read_adc`, paired by name: µA × µV, origin derived
// sum         `rails`: every rail that tells both. Not in it: what 5 V feeds (USB, HATs, an accelerator, NVMe) and what
//             the PMIC's converters lose. EXT5V and BATT tell a voltage alone and are in no sum
// period      not documented; 0.25 s is taken, for readings that far apart all differed in published recordings
//             (TFG-yisuscc's of a Raspberry Pi 5); by vcgencmd a second more
// averaging   none known: single readings scatter by 21 % at a steady load (published recordings), so that short
// windows
//             are wide
// step        of the core's rail 8.93 mA, of the three small ones 61 µA, of the others 0.976 mA, times its voltage: the
//             common divisor of published readings, not documented
// privilege   group video, or root
// part_of     rails < `rails`; DDR rails < `dram` < `rails`; `wall-estimate` (asked for) overlaps all of them: coverage
// not
//             known, so that it is added to nothing
// lane        rails: a thread of its own, ten times a second at most; the others: slow
// source      see raspberry_firmware.hpp, raspberry_text.hpp; wall-estimate: github.com/jfikar/RPi5-power
#include "sensors/raspberry_text.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>

#include "base/text.hpp"
#include "sensors/file_sensor.hpp"
#include "sensors/raspberry_firmware.hpp"
#include "sensors/rows.hpp"

namespace prony {

namespace {

constexpr Duration rails_pace = milliseconds(100), program_pace = milliseconds(1000);
constexpr Duration seen_to_change = milliseconds(250);
constexpr std::string_view rails_absent =
    "the PMIC of this board tells no rails (only a Raspberry Pi 5, 500 and Compute Module 5 have one that does)";
constexpr std::string_view rails_remedy =
    "a meter at the wall: prony calibrate --meter-kwh, or one that is read; joules are modelled meanwhile";

// The published line between the rails' sum and a meter at the USB-C plug of one board, and where its points lay.
struct WallLine {
  double slope = 1.1451, offset_w = 0.5879;
};
constexpr WallLine wall_line;
constexpr std::string_view wall_words =
    "1.1451 × rails + 0.5879 W, fitted by github.com/jfikar/RPi5-power to one board between 1.4 and 14.7 W of rails, "
    "points up to 0.8 W off the line: no bound, another board, supply or USB device shifts it";

Channel raspberry_channel(const std::string& domain, Measure measure, double scale) {
  Channel channel;
  channel.sensor = "raspberry";
  channel.domain = domain;
  channel.name = "raspberry." + domain + "." + std::string(to_string(measure));
  channel.measure = measure;
  channel.scale = scale;
  return channel;
}

std::string domain_of(std::string_view rail) {
  if (rail == "VDD_CORE") return "core";
  std::string domain = name_part(rail);
  std::transform(domain.begin(), domain.end(), domain.begin(), [](char c) {
    return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  });
  return domain;
}

// µA that a rail's current moves by; see the card.
double current_step(std::string_view rail) {
  if (rail == "VDD_CORE") return 8930;
  static constexpr std::array<std::string_view, 4> small{"3V3_DAC", "3V3_ADC", "0V8_AON", "HDMI"};
  return std::find(small.begin(), small.end(), rail) != small.end() ? 61.05 : 975.93;
}

struct Rail {
  std::string name;
  std::optional<std::int64_t> micro_amperes, micro_volts;  // as last read
  [[nodiscard]] std::optional<std::int64_t> microwatts() const noexcept {
    if (!micro_amperes || !micro_volts) return std::nullopt;
    return (*micro_amperes * *micro_volts + 500'000) / 1'000'000;  // both at most 1e9: no overflow
  }
};

// Reads a whole answer into the rails that are known; those that it lacks are absent. Rows may come in any order.
void take_rails(std::string_view text, std::span<Rail> rails) noexcept {
  for (Rail& rail : rails) rail.micro_amperes = rail.micro_volts = std::nullopt;
  while (const auto line = next_line(text)) {
    const auto row = rail_line(*line);
    if (!row) continue;
    for (Rail& rail : rails)
      if (rail.name == row->rail) (row->is_current ? rail.micro_amperes : rail.micro_volts) = row->micro;
  }
}

std::vector<Rail> rails_in(std::string_view text) {
  std::vector<Rail> rails;
  auto rest = text;
  while (const auto line = next_line(rest)) {
    const auto row = rail_line(*line);
    if (!row || rails.size() >= 64) continue;
    if (std::none_of(rails.begin(), rails.end(), [&](const Rail& rail) { return rail.name == row->rail; }))
      rails.push_back({std::string(row->rail), {}, {}});
  }
  take_rails(text, rails);
  return rails;
}

// What a channel of the rails is made of.
struct RailValue {
  enum class Kind { sum, wall, volts, amperes };
  Kind kind = Kind::sum;
  std::vector<std::size_t> rails;
};

class RailSensor final : public Sensor {
 public:
  RailSensor(std::unique_ptr<Firmware> firmware, std::vector<Rail> rails, std::vector<Channel> channels,
             std::vector<RailValue> values)
      : firmware_(std::move(firmware)),
        rails_(std::move(rails)),
        channels_(std::move(channels)),
        values_(std::move(values)) {}

  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::blocking; }
  [[nodiscard]] Duration pace() const noexcept override {
    return firmware_->answers_are_kept() ? program_pace : rails_pace;
  }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override {
    take_rails(firmware_->ask(Question::rails, text_), rails_);
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const auto value = value_of(values_[i]);
      out[i] = value ? Reading{*value, Quality::ok} : Reading{};
      if (!value) lacking_.store(true, std::memory_order_relaxed);
    }
  }
  [[nodiscard]] std::vector<Event> changes() override {
    firmware_->refresh();
    return {};
  }
  [[nodiscard]] std::vector<Unavailable> complaints() override {
    const bool lacking = lacking_.exchange(false, std::memory_order_relaxed);
    const auto fault = firmware_->take_fault();
    if (!lacking || channels_.empty()) return {};
    if (fault) return {{channels_.front().name, fault->where + ": " + fault->what, fault->fix}};
    return {{channels_.front().name, firmware_->name() + ": the answer to pmic_read_adc lacks a rail it had", {}}};
  }

 private:
  [[nodiscard]] std::optional<std::int64_t> value_of(const RailValue& value) const noexcept {
    std::int64_t sum = 0;
    for (const auto index : value.rails) {
      const Rail& rail = rails_[index];
      const auto part = value.kind == RailValue::Kind::volts     ? rail.micro_volts
                        : value.kind == RailValue::Kind::amperes ? rail.micro_amperes
                                                                 : rail.microwatts();
      if (!part) return std::nullopt;
      sum += *part;
    }
    if (value.kind != RailValue::Kind::wall) return sum;
    return std::llround(static_cast<double>(sum) * wall_line.slope + wall_line.offset_w * 1e6);
  }

  std::unique_ptr<Firmware> firmware_;
  std::vector<Rail> rails_;
  std::vector<Channel> channels_;
  std::vector<RailValue> values_;
  FirmwareText text_{};
  std::atomic<bool> lacking_ = false;
};

class RailPlan {
 public:
  explicit RailPlan(std::span<const Rail> rails) : rails_(rails) {}
  ChannelId add(const std::string& domain, Measure measure, RailValue value, std::optional<ChannelId> part_of = {}) {
    auto channel = raspberry_channel(domain, measure, 1e-6);
    channel.id = {static_cast<std::uint32_t>(channels.size())};
    channel.device = "pmic";
    channel.part_of = part_of;
    if (measure == Measure::power) {
      channel.origin = Origin::derived;
      channel.resolution = 1;
      for (const auto index : value.rails)
        channel.resolution = std::max(channel.resolution, current_step(rails_[index].name) *
                                                              static_cast<double>(*rails_[index].micro_volts) * 1e-6);
    }
    channels.push_back(std::move(channel));
    values.push_back(std::move(value));
    return channels.back().id;
  }
  std::vector<Channel> channels;
  std::vector<RailValue> values;

 private:
  std::span<const Rail> rails_;
};

bool is_memory(const Rail& rail) { return rail.name.starts_with("DDR_"); }

RailPlan plan_rails(std::span<const Rail> rails, const SensorOptions& options) {
  using Kind = RailValue::Kind;
  RailPlan plan(rails);
  std::vector<std::size_t> all, memory;
  for (std::size_t i = 0; i < rails.size(); ++i) {
    if (!rails[i].microwatts()) continue;
    all.push_back(i);
    if (is_memory(rails[i])) memory.push_back(i);
  }
  if (all.empty()) return plan;
  const auto whole = plan.add("rails", Measure::power, {Kind::sum, all});
  const auto dram = memory.empty() ? whole : plan.add("dram", Measure::power, {Kind::sum, memory}, whole);
  for (const auto i : all)
    plan.add(domain_of(rails[i].name), Measure::power, {Kind::sum, {i}}, is_memory(rails[i]) ? dram : whole);
  if (options.wall_estimate) {
    plan.add("wall-estimate", Measure::power, {Kind::wall, all});
    plan.channels.back().coverage_known = false;
  }
  for (std::size_t i = 0; i < rails.size(); ++i) {
    const bool supply = rails[i].name == "EXT5V";
    if (rails[i].micro_volts && (supply || options.every_channel))
      plan.add(domain_of(rails[i].name), Measure::voltage, {Kind::volts, {i}});
    if (rails[i].micro_amperes && options.every_channel)
      plan.add(domain_of(rails[i].name), Measure::current, {Kind::amperes, {i}});
  }
  return plan;
}

// Temperature, clock, voltage and the throttle word.
class FirmwareConditionSensor final : public Sensor {
 public:
  FirmwareConditionSensor(Machine& machine, std::unique_ptr<Firmware> firmware, const FirmwareConditions& first)
      : machine_(machine), firmware_(std::move(firmware)) {
    add(first, &FirmwareConditions::temperature_mc, "soc", Measure::temperature, 1e-3);
    add(first, &FirmwareConditions::arm_hz, "arm", Measure::frequency, 1);
    add(first, &FirmwareConditions::core_hz, "core", Measure::frequency, 1);
    add(first, &FirmwareConditions::v3d_hz, "v3d", Measure::frequency, 1);
    add(first, &FirmwareConditions::core_uv, "core-requested", Measure::voltage, 1e-6);
    if (first.throttled) add_channel(nullptr, "throttled", Measure::count, 1);
    told_ = first.throttled;
    if (first.throttled) word_.store(*first.throttled, std::memory_order_relaxed);
  }
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::slow; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override {
    const auto now = firmware_->conditions(text_);
    if (now.throttled) word_.store(*now.throttled, std::memory_order_relaxed);
    for (std::size_t i = 0; i < channels_.size(); ++i) {
      const auto value = parts_[i] == nullptr ? reasons_of(now) : now.*parts_[i];
      out[i] = value ? Reading{*value, Quality::ok} : Reading{};
      if (!value) lacking_.store(true, std::memory_order_relaxed);
    }
  }
  [[nodiscard]] std::vector<Event> changes() override {
    firmware_->refresh();
    if (!told_) return {};
    const auto word = word_.load(std::memory_order_relaxed);
    std::vector<Event> events;
    const auto now = throttled_now(word), before = throttled_now(*told_);
    if (now != before)
      events.push_back({machine_.now(), "throttle", "raspberry.throttled",
                        "the firmware holds the board back: " + throttle_words(before) + " → " + throttle_words(now)});
    // A reason that came and went between two looks is seen in the other half alone.
    const auto missed = throttled_since_boot(word) & ~throttled_since_boot(*told_) & ~now & ~before;
    if (missed != 0)
      events.push_back({machine_.now(), "throttle", "raspberry.throttled",
                        "came and went between two looks: " + throttle_words(missed)});
    told_ = word;
    return events;
  }
  [[nodiscard]] std::vector<Unavailable> complaints() override {
    const bool lacking = lacking_.exchange(false, std::memory_order_relaxed);
    const auto fault = firmware_->take_fault();
    if (!lacking || channels_.empty()) return {};
    if (fault) return {{channels_.front().name, fault->where + ": " + fault->what, fault->fix}};
    return {{channels_.front().name, firmware_->name() + ": an answer was not one, or older than three seconds", {}}};
  }

 private:
  using Part = std::optional<std::int64_t> FirmwareConditions::*;  // null: the throttle word

  void add(const FirmwareConditions& first, Part part, const std::string& domain, Measure measure, double scale) {
    if ((first.*part).has_value()) add_channel(part, domain, measure, scale);
  }
  void add_channel(Part part, const std::string& domain, Measure measure, double scale) {
    auto channel = raspberry_channel(domain, measure, scale);
    channel.id = {static_cast<std::uint32_t>(channels_.size())};
    channel.device = "firmware";
    if (measure == Measure::count) channel.name = "raspberry.throttled.reasons";
    channels_.push_back(std::move(channel));
    parts_.push_back(part);
  }
  [[nodiscard]] static std::optional<std::int64_t> reasons_of(const FirmwareConditions& now) noexcept {
    if (!now.throttled) return std::nullopt;
    return static_cast<std::int64_t>(__builtin_popcount(throttled_now(*now.throttled)));
  }

  Machine& machine_;
  std::unique_ptr<Firmware> firmware_;
  std::vector<Channel> channels_;
  std::vector<Part> parts_;  // where each channel's value stands
  FirmwareText text_{};
  std::atomic<std::uint32_t> word_ = 0;
  std::atomic<bool> lacking_ = false;
  std::optional<std::uint32_t> told_;
};

// Asks once; of a program, what it is asked for the second time is what it gave when it was run.
template <class Ask>
auto ask_twice(Firmware& firmware, const Ask& ask) {
  auto answer = ask();
  if (!firmware.answers_are_kept()) return answer;
  firmware.refresh();
  return ask();
}

// A Hailo accelerator by its vendor number on PCIe (pci.ids: 1e60, Hailo Technologies).
void tell_accelerators(Machine& machine, Probe& probe) {
  const std::string top = "/sys/bus/pci/devices";
  for (const auto& device : machine.list(top).value_or(std::vector<std::string>{}))
    if (machine.read_text(top + "/" + device + "/vendor").value_or("") == "0x1e60")
      probe.unavailable.push_back({"raspberry.hailo",
                                   "the Hailo accelerator at " + device +
                                       " is not visible to the board's rails: what it draws is in none of them",
                                   "a meter at the plug sees it"});
}

std::unique_ptr<Sensor> make_rails(Machine& machine, std::unique_ptr<Firmware> firmware, const SensorOptions& options,
                                   Probe& probe) {
  FirmwareText buffer;
  const auto text = ask_twice(*firmware, [&] { return firmware->ask(Question::rails, buffer); });
  auto rails = rails_in(text);
  auto plan = plan_rails(rails, options);
  if (plan.channels.empty()) {
    const auto fault = firmware->take_fault();
    const auto said = firmware_error(text);
    std::string reason(rails_absent);
    if (!said.empty()) reason += "; it says: " + said;
    if (said.empty() && fault) reason = fault->where + ": " + fault->what;
    probe.unavailable.push_back({"raspberry.rails", reason, std::string(rails_remedy)});
    return nullptr;
  }
  tell_accelerators(machine, probe);
  probe.notes.push_back(
      {"raspberry.5v",
       "no rail tells what 5 V feeds (USB, HATs, NVMe, an accelerator) nor what the PMIC's converters lose: the sum of "
       "the rails lacks both",
       "--wall-estimate adds a published estimate of the plug; a meter and prony calibrate are better"});
  if (options.wall_estimate) probe.notes.push_back({"raspberry.wall-estimate", std::string(wall_words), {}});
  for (auto& channel : plan.channels)
    channel.update_period = firmware->answers_are_kept() ? seen_to_change + program_pace : seen_to_change;
  return std::make_unique<RailSensor>(std::move(firmware), std::move(rails), std::move(plan.channels),
                                      std::move(plan.values));
}

}  // namespace

Probe make_raspberry(Machine& machine, const SensorOptions& options) {
  Probe probe;
  auto firmware = open_firmware(machine);
  if (!firmware) {
    const Error& error = firmware.error();
    probe.unavailable.push_back(
        {"raspberry", error.where.empty() ? error.what : error.where + ": " + error.what, error.fix});
    return probe;
  }
  if ((*firmware)->answers_are_kept())
    probe.notes.push_back(
        {"raspberry.firmware",
         "asked through vcgencmd once a second, for neither /dev/vcio nor /dev/vcio_gencmd can be opened",
         "sudo usermod -aG video $USER   (then log in again)"});
  auto second = open_firmware(machine);
  FirmwareText buffer;
  const auto first = ask_twice(**firmware, [&] { return (*firmware)->conditions(buffer); });
  auto conditions = std::make_unique<FirmwareConditionSensor>(machine, std::move(*firmware), first);
  if (second) probe.sensor = make_rails(machine, std::move(*second), options, probe);
  if (conditions->channels().empty()) return probe;
  if (probe.sensor)
    probe.more.push_back(std::move(conditions));
  else
    probe.sensor = std::move(conditions);
  return probe;
}

}  // namespace prony
