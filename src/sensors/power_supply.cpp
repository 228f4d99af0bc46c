// power_supply: batteries (power drawn, energy left, charge), and whether mains or USB power is connected.
// reads       /sys/class/power_supply/*: type, status; power_now (µW) or voltage_now × current_now (µV × µA);
//             energy_now (µWh) or charge_now (µAh × the design voltage); capacity (%); online
// sign        + = drawn from the battery, − = charged into it. Drivers do not agree on the sign of power_now and
//             current_now, so the sign is that of `status`; where the status does not tell, a gap
// period      not documented (ACPI caches for a second, fuel gauges measure every 0.25 s to 4 s);  wrap none
// privilege   none
// part_of     nothing; what a battery gives is what the machine draws only while nothing else feeds it: coverage is not
//             known, never added to other sensors, and never the headline of a Run in which it charged or rested
// lane        slow, or a thread of its own where one read of all takes over 100 µs (embedded controllers)
// source      Documentation/ABI/testing/sysfs-class-power, Documentation/power/power_supply_class.rst
#include <cstdlib>

#include "base/text.hpp"
#include "sensors/file_sensor.hpp"
#include "sensors/rows.hpp"
#include "sensors/state_watch.hpp"
#include "sensors/text_file.hpp"

namespace prony {

namespace {

// What a battery draws, in µW, out of two or three files.
struct Draw {
  IntegerFile power;                   // or current
  std::optional<IntegerFile> voltage;  // set: `power` is a current
  TextFile status;
};

std::optional<std::int64_t> signed_draw(std::int64_t value, std::string_view status) noexcept {
  if (value == INT64_MIN) return std::nullopt;
  const auto size = value < 0 ? -value : value;
  if (status == "Discharging") return size;
  if (status == "Charging") return -size;
  if (value == 0) return 0;
  // The interface says negative is discharging; drivers that know no sign never write a negative one.
  if (value < 0) return size;
  return status == "Full" ? std::optional(-size) : std::nullopt;
}

class PowerSupplySensor final : public Sensor {
 public:
  PowerSupplySensor(std::unique_ptr<Sensor> files, std::vector<Channel> draw_channels, std::vector<Draw> draws,
                    StateWatch watch)
      : files_(std::move(files)), draws_(std::move(draws)), watch_(std::move(watch)) {
    if (files_) channels_.assign(files_->channels().begin(), files_->channels().end());
    plain_ = channels_.size();
    for (auto& channel : draw_channels) {
      channel.id = {static_cast<std::uint32_t>(channels_.size())};
      channels_.push_back(std::move(channel));
    }
  }
  [[nodiscard]] LaneKind lane() const noexcept override { return lane_; }
  void set_lane(LaneKind lane) noexcept { lane_ = lane; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override {
    if (files_) files_->read(out.first(plain_));
    TextBuffer buffer;
    for (std::size_t i = 0; i < draws_.size(); ++i) {
      auto& draw = draws_[i];
      out[plain_ + i] = {};
      auto value = draw.power.read();
      if (draw.voltage) {
        const auto volts = draw.voltage->read();
        if (volts.quality == Quality::gap || __builtin_mul_overflow(value.raw, volts.raw, &value.raw)) continue;
        value.raw /= 1'000'000;  // µA × µV = pW
      }
      const auto status = draw.status.read(buffer);
      if (value.quality == Quality::gap || status.empty()) continue;
      if (const auto watts = signed_draw(value.raw, trim(status))) out[plain_ + i] = {*watts, Quality::ok};
    }
  }
  [[nodiscard]] std::vector<Event> changes() override { return watch_.changes(); }
  [[nodiscard]] std::vector<Unavailable> complaints() override {
    auto result = files_ ? files_->complaints() : std::vector<Unavailable>{};
    for (std::size_t i = 0; i < draws_.size(); ++i) {
      auto fault = draws_[i].power.take_fault();
      if (!fault && draws_[i].voltage) fault = draws_[i].voltage->take_fault();
      if (!fault) fault = draws_[i].status.take_fault();
      if (fault) result.push_back({channels_[plain_ + i].name, fault->where + ": " + fault->what, fault->fix});
    }
    return result;
  }

 private:
  LaneKind lane_ = LaneKind::slow;
  std::unique_ptr<Sensor> files_;
  std::size_t plain_ = 0;
  std::vector<Draw> draws_;
  StateWatch watch_;
  std::vector<Channel> channels_;
};

Channel supply_channel(const std::string& supply, const std::string& what, Measure measure, double scale) {
  Channel channel;
  channel.sensor = "power_supply";
  channel.device = supply;
  channel.domain = "supply-" + name_part(supply);
  channel.name = "power_supply." + name_part(supply) + "." + what;
  channel.measure = measure;
  channel.scale = scale;
  if (measure == Measure::power) channel.coverage_known = false;
  return channel;
}

std::optional<Draw> open_draw(Machine& machine, const std::string& folder, bool product) {
  auto value = IntegerFile::open(machine, folder + (product ? "/current_now" : "/power_now"), IntegerSign::signed_64);
  auto status = TextFile::open(machine, folder + "/status");
  if (!value || !status || value->read().quality == Quality::gap) return std::nullopt;
  std::optional<IntegerFile> voltage;
  if (product) {
    auto file = IntegerFile::open(machine, folder + "/voltage_now", IntegerSign::signed_64);
    if (!file || file->read().quality == Quality::gap) return std::nullopt;
    voltage = std::move(*file);
  }
  return Draw{std::move(*value), std::move(voltage), std::move(*status)};
}

struct Collected {
  FileSensorBuilder files;
  StateWatch watch;
  std::vector<Channel> draw_channels;
  std::vector<Draw> draws;
};

void add_battery(Machine& machine, const std::string& supply, bool every_channel, Collected& all) {
  const auto folder = "/sys/class/power_supply/" + supply;
  if (probe_integer(machine, folder + "/present").value_or(1) == 0) {
    all.files.unavailable().push_back({"power_supply." + name_part(supply), folder + ": the battery is not there", {}});
    return;
  }
  auto draw = open_draw(machine, folder, false);
  const bool product = !draw.has_value();
  if (product) draw = open_draw(machine, folder, true);
  if (draw) {
    auto channel = supply_channel(supply, "power", Measure::power, 1e-6);
    if (product) channel.origin = Origin::derived;
    all.draw_channels.push_back(std::move(channel));
    all.draws.push_back(std::move(*draw));
  } else {
    all.files.unavailable().push_back(
        {"power_supply." + name_part(supply) + ".power", folder + " gives neither power nor voltage and current", {}});
  }
  auto design_uv = probe_integer(machine, folder + "/voltage_min_design");
  if (!design_uv || *design_uv <= 0) design_uv = probe_integer(machine, folder + "/voltage_now");
  if (machine.exists(folder + "/energy_now")) {
    all.files.add(supply_channel(supply, "energy_left", Measure::stored_energy, 3600e-6), folder + "/energy_now");
  } else if (machine.exists(folder + "/charge_now") && design_uv && *design_uv > 0) {
    auto channel =
        supply_channel(supply, "energy_left", Measure::stored_energy, 3600e-6 * static_cast<double>(*design_uv) * 1e-6);
    channel.origin = Origin::derived;
    all.files.add(std::move(channel), folder + "/charge_now");
  }
  if (machine.exists(folder + "/capacity"))
    all.files.add(supply_channel(supply, "charge", Measure::fraction, 0.01), folder + "/capacity");
  if (every_channel) {
    if (machine.exists(folder + "/voltage_now"))
      all.files.add(supply_channel(supply, "voltage", Measure::voltage, 1e-6), folder + "/voltage_now");
    if (machine.exists(folder + "/current_now"))  // its sign is the driver's
      all.files.add(supply_channel(supply, "current", Measure::current, 1e-6), folder + "/current_now");
  }
  all.watch.add("power_supply." + name_part(supply), "status", folder + "/status");
}

void add_line(Machine& machine, const std::string& supply, Collected& all) {
  const auto folder = "/sys/class/power_supply/" + supply;
  if (!machine.exists(folder + "/online")) return;
  all.files.add(supply_channel(supply, "online", Measure::count, 1), folder + "/online");
  all.watch.add("power_supply." + name_part(supply), "power", folder + "/online", [](std::string_view text) {
    return std::string(text == "0" ? "not connected" : text == "1" ? "connected" : "connected, programmable");
  });
}

}  // namespace

Probe make_power_supply(Machine& machine, const SensorOptions& options) {
  Collected all{FileSensorBuilder(machine), StateWatch(machine, "power-supply"), {}, {}};
  for (const auto& supply : machine.list("/sys/class/power_supply").value_or(std::vector<std::string>{})) {
    const auto folder = "/sys/class/power_supply/" + supply;
    // A mouse's battery feeds the mouse.
    if (machine.read_text(folder + "/scope").value_or("") == "Device") continue;
    const auto type = machine.read_text(folder + "/type").value_or("");
    if (type == "Battery" || type == "UPS")
      add_battery(machine, supply, options.every_channel, all);
    else
      add_line(machine, supply, all);
  }
  auto probe = all.files.finish(LaneKind::slow);
  if (!probe.sensor && all.draws.empty()) {
    if (probe.unavailable.empty())
      probe.unavailable.push_back({"power_supply", "no battery or charger in /sys/class/power_supply", {}});
    return probe;
  }
  auto sensor = std::make_unique<PowerSupplySensor>(std::move(probe.sensor), std::move(all.draw_channels),
                                                    std::move(all.draws), std::move(all.watch));
  std::vector<Reading> readings(sensor->channels().size());
  if (time_of_read(machine, [&] { sensor->read(readings); }) > fast_enough) sensor->set_lane(LaneKind::blocking);
  (void)sensor->complaints();  // what a trial read met is not part of a Run
  probe.sensor = std::move(sensor);
  return probe;
}

}  // namespace prony
