// hwmon: energy and power of chips and supply rails; voltages and currents on request.
// reads       /sys/class/hwmon/hwmon*/: energy*_input (µJ counter), power*_input or power*_average (µW), and where a
//             chip gives neither, in*_input (mV) × curr*_input (mA) of the same rail = µW, origin derived
// period      the chip's update_interval (ms), where it has one; else not documented (many drivers keep a value for up
//             to a second), and update_period stays 0
// averaging   power*_average_interval (ms); INA226-like chips: each reading is the mean over one update_interval, which
//             their driver computes as samples × conversion time; likewise any other chip whose driver shows `samples`
//             above 1 (ina238 and its kin); INA3221 with `samples` above 1: see ina3221_period() below
// step        as the file shows it; of an INA3221's rail what its 40 µV shunt step is in watts at the present voltage
// wrap        64-bit, never
// privilege   none, but for some drivers' energy files (root)
// part_of     power < energy counter of the same chip; rails of a Jetson as the table of boards says
//             (jetson_rails.cpp), there with known coverage; on other boards rails < VDD_IN or POM_5V_IN; outputs of a
//             converter < its input (pin). Else nobody tells what a rail feeds: coverage is not known, and it is never
//             added to other sensors
// lane        fast, or a thread of its own where one read of all takes over 100 µs (chips behind I²C)
// source      Documentation/hwmon/sysfs-interface.rst, ina3221.rst, ina2xx.rst, amd_energy.rst, pmbus.rst
#include <algorithm>
#include <array>
#include <optional>

#include "sensors/drm_cards.hpp"
#include "sensors/file_sensor.hpp"
#include "sensors/hwmon_chips.hpp"
#include "sensors/jetson_rails.hpp"
#include "sensors/rows.hpp"

namespace prony {

namespace {

Channel hwmon_channel(const HwmonChip& chip, const std::string& label, Measure measure) {
  Channel channel;
  channel.sensor = "hwmon";
  channel.device = chip.device;
  channel.domain = name_part(chip.name + "-" + label);
  channel.name = "hwmon." + chip.name + "." + name_part(label) + "." + std::string(to_string(measure));
  channel.measure = measure;
  channel.scale = 1e-6;
  channel.coverage_known = false;
  return channel;
}

// A period in ms, where the chip tells one; 0: not documented.
Duration period_of(Machine& machine, const std::string& path) {
  const auto ms = probe_integer(machine, path);
  return ms && *ms > 0 && *ms < 3'600'000 ? milliseconds(*ms) : Duration{};
}

bool is_ina3221(const HwmonChip& chip) { return chip.driver == "ina3221"; }

// An INA3221's update_interval is channels × conversion times × samples by its document, and was so until Linux 6.2;
// since then, and in stable releases of 6.1, the driver leaves out the samples ("return prompt data and support
// summation_disable"). Three inputs take at most 3 × 2 × 8.244 ms once, so that a longer interval has the samples in
// it. A shorter one may have: then low and high must reach the truth either way, and the longer of both is taken.
Duration ina3221_period(Machine& machine, const HwmonChip& chip, Duration shown) {
  constexpr Duration longest_conversions = milliseconds(50);
  const auto samples = probe_integer(machine, chip.path + "/samples").value_or(1);
  return samples > 1 && samples <= 1024 && shown <= longest_conversions ? samples * shown : shown;
}

// Sets what is known of when a gauge of this chip is renewed and what each reading is the mean of.
void set_times(Machine& machine, const HwmonChip& chip, Channel& channel) {
  channel.update_period = period_of(machine, chip.path + "/update_interval");
  if (is_ina3221(chip)) channel.update_period = ina3221_period(machine, chip, channel.update_period);
  static constexpr std::array<std::string_view, 5> averaging{"ina226", "ina230", "ina231", "ina234", "ina260"};
  const bool averages = std::find(averaging.begin(), averaging.end(), chip.driver) != averaging.end() ||
                        probe_integer(machine, chip.path + "/samples").value_or(1) > 1;
  if (averages) channel.averaging_window = channel.update_period;
}

// How far a rail's product moves when the chip's current register does by one, in counts of mV × mA. INA3221 counts the
// shunt's voltage in 40 µV (datasheet SBOS576), so that 5 mΩ give 8 mA, and at 5 V 40 mW.
double product_step(Machine& machine, const HwmonChip& chip, const HwmonInput& voltage) {
  if (!is_ina3221(chip)) return 1;
  const auto micro_ohms = probe_integer(machine, chip.path + "/shunt" + std::to_string(voltage.index) + "_resistor");
  const auto millivolts = probe_integer(machine, voltage.path);
  if (!micro_ohms || *micro_ohms <= 0 || !millivolts || *millivolts <= 0 || *millivolts > 1'000'000) return 1;
  return std::max(1.0, static_cast<double>(*millivolts) * 40'000 / static_cast<double>(*micro_ohms));
}

// Shunt monitors with one input (ina219, ina238) have no power1_label: the rail's name is the chip's own `label` (of
// the device tree, Linux 5.17) or that of its voltage. On a Thor board the one INA238 sits in the input, whether named
// or not.
std::string rail_label(Machine& machine, const HwmonChip& chip, const HwmonInput& input, const JetsonBoard* board) {
  if (input.labelled || !chip.driver.starts_with("ina") || input.index != 1) return input.label;
  for (const char* file : {"/label", "/in1_label"})
    if (const auto label = machine.read_text(chip.path + file); label && !label->empty() && *label != "NC")
      return *label;
  const bool input_monitor = board != nullptr && chip.driver == "ina238" && board->wholes.front() == "VIN";
  return input_monitor ? "VIN" : input.label;
}

// Which current belongs to which voltage of a chip. INA3221: in1–3 are bus voltages in mV; in4–6 are shunt voltages in
// µV and in7/curr4 the sum of the shunts, all of them traps. Else: the same label (or vin/iin, vout1/iout1), or the
// same index if neither has one.
bool same_rail(const HwmonChip& chip, const HwmonInput& voltage, const HwmonInput& current) {
  if (is_ina3221(chip)) return voltage.index >= 1 && voltage.index <= 3 && voltage.index == current.index;
  if (voltage.labelled && current.labelled) {
    if (voltage.label == current.label) return true;
    return voltage.label.size() > 1 && voltage.label.front() == 'v' && current.label.front() == 'i' &&
           std::string_view(voltage.label).substr(1) == std::string_view(current.label).substr(1);
  }
  return !voltage.labelled && !current.labelled && voltage.index == current.index;
}

struct Added {
  HwmonInput input;
  ChannelId id;
};

bool add(FileSensorBuilder& builder, Channel channel, const HwmonInput& input, const HwmonInput* current,
         std::vector<Added>& added) {
  if (builder.has(channel.name)) channel.name += "@" + std::to_string(input.index);
  const bool done = current == nullptr ? builder.add(std::move(channel), input.path,
                                                     "sudo chmod a+r " + input.path + "   (until reboot)")
                                       : builder.add_product(std::move(channel), input.path, current->path);
  if (done) added.push_back({input, {static_cast<std::uint32_t>(builder.size() - 1)}});
  return done;
}

std::vector<Added> add_chip_energy(Machine& machine, const HwmonChip& chip, bool every_channel,
                                   FileSensorBuilder& builder) {
  std::vector<Added> added;
  for (const auto& input : chip.inputs(machine, "energy", "_input")) {
    // amd_energy has one counter per core inside those of the sockets: hundreds of files, off unless asked for.
    const bool core = chip.driver == "amd_energy" && input.label.starts_with("Ecore");
    if (core && !every_channel) continue;
    auto channel = hwmon_channel(chip, input.label, Measure::energy);
    channel.kind = ChannelKind::counter;
    channel.update_period = period_of(machine, chip.path + "/update_interval");
    add(builder, std::move(channel), input, nullptr, added);
  }
  // With several sockets the driver does not tell whose core it is; with one there is no doubt.
  std::vector<ChannelId> sockets;
  for (const auto& entry : added)
    if (entry.input.label.starts_with("Esocket")) sockets.push_back(entry.id);
  if (chip.driver == "amd_energy" && sockets.size() == 1)
    for (const auto& entry : added)
      if (entry.input.label.starts_with("Ecore")) builder.channels()[entry.id.value].part_of = sockets.front();
  return added;
}

std::vector<Added> add_power(Machine& machine, const HwmonChip& chip, const JetsonBoard* board,
                             FileSensorBuilder& builder) {
  std::vector<Added> added;
  auto inputs = chip.inputs(machine, "power", "_input");
  for (auto& average : chip.inputs(machine, "power", "_average"))
    if (std::none_of(inputs.begin(), inputs.end(), [&](const auto& i) { return i.index == average.index; }))
      inputs.push_back(std::move(average));
  for (auto& input : inputs) {
    input.label = rail_label(machine, chip, input, board);
    auto channel = hwmon_channel(chip, input.label, Measure::power);
    set_times(machine, chip, channel);
    if (input.path.ends_with("_average")) channel.averaging_window = period_of(machine, input.path + "_interval");
    add(builder, std::move(channel), input, nullptr, added);
  }
  return added;
}

std::vector<Added> add_products(Machine& machine, const HwmonChip& chip, FileSensorBuilder& builder) {
  std::vector<Added> added;
  const auto currents = chip.inputs(machine, "curr", "_input");
  for (const auto& voltage : chip.inputs(machine, "in", "_input"))
    for (const auto& current : currents) {
      if (!same_rail(chip, voltage, current)) continue;
      auto rail = voltage;
      if (!rail.labelled && current.labelled) rail.label = current.label;
      auto channel = hwmon_channel(chip, rail.label, Measure::power);
      channel.origin = Origin::derived;  // mV × mA = µW
      channel.resolution = product_step(machine, chip, voltage);
      set_times(machine, chip, channel);
      add(builder, std::move(channel), rail, &current, added);
      break;
    }
  return added;
}

// Every voltage and current as it is. INA3221: in4–6 and in7 are shunt voltages, in µV where all others are mV.
void add_parts(Machine& machine, const HwmonChip& chip, FileSensorBuilder& builder) {
  for (const auto measure : {Measure::voltage, Measure::current})
    for (const auto& input : chip.inputs(machine, measure == Measure::voltage ? "in" : "curr", "_input")) {
      auto channel = hwmon_channel(chip, input.label, measure);
      const bool shunt = is_ina3221(chip) && measure == Measure::voltage && input.index >= 4;
      channel.scale = shunt ? 1e-6 : 1e-3;
      set_times(machine, chip, channel);
      if (builder.has(channel.name)) channel.name += "@" + std::to_string(input.index);
      builder.add(std::move(channel), input.path);
    }
}

// Rails behind an input rail that is measured too are part of it.
void nest_rails(std::vector<Channel>& channels, const std::vector<Added>& rails) {
  const auto supply = std::find_if(rails.begin(), rails.end(), [](const Added& rail) {
    return rail.input.label == "VDD_IN" || rail.input.label == "POM_5V_IN" || rail.input.label == "pin";
  });
  if (supply == rails.end()) return;
  for (const auto& rail : rails)
    if (rail.id != supply->id && !channels[rail.id.value].part_of) channels[rail.id.value].part_of = supply->id;
}

void nest_power(std::vector<Channel>& channels, const std::vector<Added>& energies, const std::vector<Added>& powers) {
  if (energies.empty()) return;
  for (const auto& power : powers) {
    const auto same = std::find_if(energies.begin(), energies.end(), [&](const Added& energy) {
      return energy.input.index == power.input.index || energy.input.label == power.input.label;
    });
    channels[power.id.value].part_of = same != energies.end() ? same->id : energies.front().id;
  }
}

}  // namespace

Probe make_hwmon(Machine& machine, const SensorOptions& options) {
  FileSensorBuilder builder(machine);
  const auto chips = hwmon_chips(machine);
  const JetsonBoard* const board = jetson_board(machine);
  std::vector<FoundRail> rails;
  const auto cards = drm_cards(machine, {"amdgpu", "i915", "xe"});
  for (const auto& chip : chips) {
    // Graphics processors have sensors of their own.
    const bool of_card = std::ranges::any_of(cards, [&](const DrmCard& card) {
      return !card.hwmon.empty() && chip.path.substr(chip.path.rfind('/') + 1) == card.hwmon;
    });
    if (chip.power_supply || of_card) continue;
    const auto energies = add_chip_energy(machine, chip, options.every_channel, builder);
    auto powers = add_power(machine, chip, board, builder);
    if (powers.empty() && energies.empty()) powers = add_products(machine, chip, builder);
    nest_power(builder.channels(), energies, powers);
    if (chip.driver.starts_with("ina"))
      for (const auto& power : powers) rails.push_back({power.input.label, power.id.value});
    if (board == nullptr || !chip.driver.starts_with("ina")) nest_rails(builder.channels(), powers);
    if (options.every_channel) add_parts(machine, chip, builder);
  }
  if (builder.size() == 0 && builder.unavailable().empty())
    builder.unavailable().push_back({"hwmon",
                                     chips.empty()
                                         ? "/sys/class/hwmon has no chips"
                                         : "no hwmon chip here measures energy, power, or voltage and current",
                                     "load the chip's driver (sudo sensors-detect finds it), or ignore on a machine "
                                     "without such a chip"});
  builder.number();
  const auto whole = board != nullptr ? arrange_rails(*board, rails, builder.channels()) : std::string();
  const auto note = rails_note(machine, rails, whole);
  const auto lane = builder.read_time() <= fast_enough ? LaneKind::fast : LaneKind::blocking;
  auto probe = builder.finish(lane);
  if (note) probe.notes.push_back({"hwmon", *note, "measure the board's input with a plug or a meter beside it"});
  return probe;
}

}  // namespace prony
