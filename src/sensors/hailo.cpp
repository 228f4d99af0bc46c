// hailo: Hailo accelerators on PCI Express, through their vendor's library (HailoRT), opened while Prony runs and only
// where a chip with Hailo's vendor number is there.
// reads       both temperature sensors of each chip; its power, where the board has power meters (evaluation boards):
//             the sum of three supplies, which HailoRT calls approximately the whole chip
// not read    the one power sensor of modules (M.2, mPCIe): it belongs to the overcurrent protection, which is off
// while
//             somebody measures with it (HailoRT says so in its own warning)
// unit        °C, W, both single precision
// period      not documented
// averaging   temperature: some samples, told with each; power: not documented for single measurements
// privilege   none where the driver's udev rule is (/dev/hailo*)
// lane        a thread of its own: each question is a message to the chip's firmware and back
// disturbs    the driver lets a chip that nobody has open sleep (PCI D3hot); an open one stays awake. Prony keeps it
// open source      hailo/hailort.h and control.cpp (4.23.0) of github.com/hailo-ai/hailort; linux/pcie/src/fops.c
// (4.23.0) of
//             github.com/hailo-ai/hailort-drivers; pci.ids: 1e60, Hailo Technologies
#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "sensors/hailo_library.hpp"
#include "sensors/rows.hpp"

namespace prony {

namespace {

constexpr std::size_t most_chips = 16;
constexpr Duration power_pace = milliseconds(200), temperature_pace = milliseconds(1000);
// What no chip of theirs can be: an M.2 slot gives some 8 W; beyond 150 °C nothing of silicon answers.
constexpr double most_watts = 50, least_celsius = -60, most_chip_celsius = 150;

bool believable_temperature(double celsius) { return celsius > least_celsius && celsius < most_chip_celsius; }

// Both 0: what a structure holds that nobody filled in. Not a number is never between two.
bool means_something(const hailo::Temperature& told) {
  return told.samples > 0 && (told.sensor_0 != 0 || told.sensor_1 != 0);
}

hailo::Status read_power(HailoChip& chip, double& watts) {
  watts = 0;
  for (const int supply : hailo::supplies) {
    float part = 0;
    const auto status = chip.call(&HailoLibrary::power, supply, hailo::measure_power, &part);
    if (status != hailo::success) return status;
    watts += static_cast<double>(part);
  }
  return hailo::success;
}

class HailoSensor final : public Sensor {
 public:
  HailoSensor(std::unique_ptr<HailoChip> chip, bool temperature, bool power) : chip_(std::move(chip)), power_(power) {
    if (temperature) {
      add("chip-0", Measure::temperature, 1e-3);
      add("chip-1", Measure::temperature, 1e-3);
    }
    if (!power) return;
    add("", Measure::power, 1e-6);
    channels_.back().origin = Origin::derived;  // a sum
  }
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::blocking; }
  [[nodiscard]] std::string_view lane_name() const noexcept override { return "hailo"; }
  [[nodiscard]] Duration pace() const noexcept override { return power_ ? power_pace : temperature_pace; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }

  void read(std::span<Reading> out) noexcept override {
    std::fill(out.begin(), out.end(), Reading{});
    std::size_t at = 0;
    if (channels_.front().measure == Measure::temperature) {
      read_temperature(out.first(2));
      at = 2;
    }
    if (!power_) return;
    double watts = 0;
    const auto status = read_power(*chip_, watts);
    if (note(status) && watts >= 0 && watts <= most_watts)
      out[at] = {std::llround(watts * 1e6), Quality::ok};
    else if (status == hailo::success)
      nothing_.store(true, std::memory_order_relaxed);
  }
  [[nodiscard]] std::vector<Event> changes() override { return chip_->changes(); }
  [[nodiscard]] std::vector<Unavailable> complaints() override {
    std::vector<Unavailable> told;
    if (auto lost = chip_->complaint()) told.push_back(std::move(*lost));
    const auto fault = fault_.exchange(hailo::success, std::memory_order_relaxed);
    if (fault != hailo::success)
      told.push_back({channels_.front().name, chip_->name() + ": " + hailo_words(fault), {}});
    if (nothing_.exchange(false, std::memory_order_relaxed))
      told.push_back({channels_.front().name,
                      chip_->name() + ": the library answered with a value that stands for nothing, or cannot be",
                      {}});
    return told;
  }

 private:
  void add(const std::string& part, Measure measure, double scale) {
    Channel channel;
    channel.id = {static_cast<std::uint32_t>(channels_.size())};
    channel.sensor = "hailo";
    channel.device = chip_->address();
    channel.domain = chip_->name() + (part.empty() ? "" : "-" + part);
    channel.name = "hailo." + channel.domain + "." + std::string(to_string(measure));
    channel.measure = measure;
    channel.scale = scale;
    channels_.push_back(std::move(channel));
  }
  // True: it was answered. A chip that is away is told of once, elsewhere.
  bool note(hailo::Status status) noexcept {
    if (status != hailo::success && chip_->here()) fault_.store(status, std::memory_order_relaxed);
    return status == hailo::success;
  }
  void read_temperature(std::span<Reading> out) noexcept {
    hailo::Temperature told;
    if (!note(chip_->call(&HailoLibrary::temperature, &told))) return;
    const double celsius[] = {static_cast<double>(told.sensor_0), static_cast<double>(told.sensor_1)};
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (means_something(told) && believable_temperature(celsius[i]))
        out[i] = {std::llround(celsius[i] * 1e3), Quality::ok};
      else
        nothing_.store(true, std::memory_order_relaxed);
    }
  }

  std::unique_ptr<HailoChip> chip_;
  const bool power_;
  std::vector<Channel> channels_;
  std::atomic<hailo::Status> fault_{hailo::success};
  std::atomic<bool> nothing_{false};
};

bool is_there(Machine& machine) {
  const std::string top = "/sys/bus/pci/devices";
  const auto devices = machine.list(top);
  return devices && std::ranges::any_of(*devices, [&](const std::string& device) {
           return machine.read_text(top + "/" + device + "/vendor").value_or("") == "0x1e60";
         });
}

bool gives_temperature(HailoChip& chip, Probe& probe) {
  hailo::Temperature told;
  const auto status = chip.call(&HailoLibrary::temperature, &told);
  if (status == hailo::success) return true;  // a value that stands for nothing now may be one later
  probe.unavailable.push_back({"hailo." + chip.name() + ".temperature", chip.name() + ": " + hailo_words(status), {}});
  return false;
}

bool gives_power(HailoChip& chip, Probe& probe) {
  double watts = 0;
  const auto status = read_power(chip, watts);
  const auto lacking = [&](std::string reason) {
    probe.unavailable.push_back({"hailo." + chip.name() + ".power", std::move(reason), "a meter at the plug sees it"});
    return false;
  };
  if (status != hailo::success)
    return lacking(chip.name() + ": no power meter that can be read without harm: " + hailo_words(status) +
                   " (a module's own sensor is its overcurrent protection, which measuring would switch off)");
  if (watts < 0 || watts > most_watts)
    return lacking(chip.name() + ": its power cannot be: " + format_fixed(watts, 1) + " W");
  return true;  // what is not a number now may be one later
}

void add_chip(std::unique_ptr<HailoChip> chip, Probe& probe) {
  if (const auto status = chip->open(); status != hailo::success) {
    probe.unavailable.push_back({"hailo." + chip->name(),
                                 chip->name() + " at " + chip->address() + ": " + hailo_words(status),
                                 status == hailo::open_failed ? "ls -l /dev/hailo*: the driver's package brings a udev "
                                                                "rule that lets everybody open it"
                                                              : "dmesg | grep hailo says more"});
    return;
  }
  const auto product = chip->product();
  probe.notes.push_back({"hailo",
                         chip->name() + (product.empty() ? "" : " (" + product + ")") +
                             " is kept awake while Prony has it open: its driver lets it sleep otherwise",
                         {}});
  const bool temperature = gives_temperature(*chip, probe), power = gives_power(*chip, probe);
  if (!temperature && !power) return;
  auto sensor = std::make_unique<HailoSensor>(std::move(chip), temperature, power);
  if (probe.sensor)
    probe.more.push_back(std::move(sensor));
  else
    probe.sensor = std::move(sensor);
}

}  // namespace

Probe make_hailo(Machine& machine, const SensorOptions&) {
  Probe probe;
  const auto nothing = [&probe](std::string reason, std::string remedy) {
    probe.unavailable.push_back({"hailo", std::move(reason), std::move(remedy)});
  };
  if (!is_there(machine)) {
    nothing("no Hailo accelerator on PCI Express", {});
    return probe;
  }
  const auto library = HailoLibrary::open(machine);
  if (!library) {
    const Error& error = library.error();
    nothing(error.where.empty() ? error.what : error.where + ": " + error.what, error.fix);
    return probe;
  }
  std::vector<hailo::DeviceId> ids(most_chips);
  std::size_t count = ids.size();
  if (const auto status = (*library)->call(&HailoLibrary::scan, nullptr, ids.data(), &count);
      status != hailo::success) {
    nothing("the accelerator is there, and HailoRT finds none: " + hailo_words(status), "dmesg | grep hailo says more");
    return probe;
  }
  ids.resize(std::min(count, ids.size()));
  std::vector<std::string> addresses;
  for (hailo::DeviceId& id : ids) {
    id.id[sizeof id.id - 1] = '\0';
    addresses.push_back(printable(id.id, sizeof id.id));
  }
  std::ranges::sort(addresses);
  if (addresses.empty()) nothing("the accelerator is there, and its driver shows none", "sudo modprobe hailo_pci");
  for (std::size_t i = 0; i < addresses.size(); ++i)
    add_chip(std::make_unique<HailoChip>(machine, *library, i, addresses[i]), probe);
  return probe;
}

}  // namespace prony
