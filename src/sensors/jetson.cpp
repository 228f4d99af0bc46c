// jetson: what a Jetson board tells beside hwmon: the rails of kernels before 5.10 and, where none can be read, those
// that tegrastats prints; load of GPU and memory, clock of the GPU, fan.
// reads       /sys/bus/i2c/drivers/ina3221x/*/iio:device*/rail_name_N, in_powerN_input (L4T 28 to 32), mW;
//             load of the GPU (1/1000) beside its device, cur_freq (Hz) of its devfreq; memory: mc_all of actmon and
//             the rate of its clock, both below /sys/kernel/debug as a rule (root); pwm1 or target_pwm of the fan
//             (1/255)
// unit        W, fraction, Hz;  period not documented (load and actmon are means of the driver's window)
// averaging   tegrastats: its interval, 0.5 s here
// step        of old kernels' rails that of a 5 mΩ shunt, 8 mA at the present voltage (NVIDIA's device trees have 5 to
//             20 mΩ; the driver tells none)
// states      nvpmodel's mode, clocks held by jetson_clocks (governor, min = max): each change is an event
// part_of     rails as the table of boards says (jetson_rails.cpp);  wrap never
// privilege   none but for the memory's load (root: debugfs)
// lane        rails fast, or a thread of their own where one read takes over 100 µs; tegrastats a thread of its own;
//             all else slow
// source      Jetson Linux Developer Guide, "Power Management", "tegrastats Utility" (editions 28 to 38); NVIDIA's
// forum
//             107479 (load of the memory: actmon over clock, percent = mc_all / kHz)
#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "sensors/file_sensor.hpp"
#include "sensors/jetson_files.hpp"
#include "sensors/jetson_rails.hpp"
#include "sensors/rows.hpp"
#include "sensors/state_watch.hpp"
#include "sensors/tegrastats.hpp"

namespace prony {

namespace {

constexpr Duration tegrastats_interval = milliseconds(500);
constexpr Duration tegrastats_patience = milliseconds(5'000);

Channel jetson_channel(const std::string& domain, const std::string& device, Measure measure, double scale) {
  Channel channel;
  channel.sensor = "jetson";
  channel.device = device;
  channel.domain = name_part(domain);
  channel.name = "jetson." + channel.domain + "." + std::string(to_string(measure));
  channel.measure = measure;
  channel.scale = scale;
  return channel;
}

Channel rail_channel(const std::string& label, const std::string& device) {
  auto channel = jetson_channel(label, device, Measure::power, 1e-3);
  channel.coverage_known = false;  // until the table of boards says otherwise
  return channel;
}

// Rails of the driver that kernels 4.4 and 4.9 had.
std::vector<FoundRail> add_iio_rails(Machine& machine, FileSensorBuilder& builder) {
  std::vector<FoundRail> rails;
  const std::string top = "/sys/bus/i2c/drivers/ina3221x";
  for (const auto& chip : names_in(machine, top))
    for (const auto& device : names_in(machine, top + "/" + chip)) {
      if (!device.starts_with("iio:device") && device != "iio_device") continue;
      const auto folder = top + "/" + chip + "/" + device;
      for (const char* n : {"0", "1", "2"}) {
        const auto label = machine.read_text(folder + "/rail_name_" + n);
        if (!label || label->empty() || *label == "NC") continue;
        auto channel = rail_channel(*label, chip);
        // The shunt is not told. 5 mΩ is the smallest of these boards: 8 mA a step, finer where it is larger.
        const auto millivolts = probe_integer(machine, folder + "/in_voltage" + n + "_input").value_or(0);
        if (millivolts > 0 && millivolts < 1'000'000)
          channel.resolution = std::max(1.0, static_cast<double>(millivolts) * 0.008);
        if (builder.has(channel.name)) channel.name += "@" + name_part(chip) + "-" + n;
        if (builder.add(std::move(channel), folder + "/in_power" + n + "_input"))
          rails.push_back({*label, builder.size() - 1});
      }
    }
  return rails;
}

// tegrastats, run once a tick: a fallback, for it costs a process each time.
class TegrastatsSensor final : public Sensor {
 public:
  TegrastatsSensor(Machine& machine, std::vector<Channel> channels, std::vector<std::string> labels)
      : machine_(machine), channels_(std::move(channels)), labels_(std::move(labels)) {}

  static Result<std::string> line(Machine& machine) {
    // It prints for ever: `timeout` ends it after its second line at the latest.
    const std::array<std::string, 5> words{"timeout", "1.2", "tegrastats", "--interval", "500"};
    const auto output = machine.run_program(words, tegrastats_patience);
    if (!output) return Unexpected<Error>(output.error());
    const auto last = last_tegrastats_line(output->out);
    if (!last.empty()) return std::string(last);
    if (output->exit_code == 127) return fail(ErrorCode::absent, "tegrastats is not installed", "tegrastats");
    return fail(ErrorCode::malformed, "tegrastats printed no line that has a rail", "tegrastats");
  }

  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::blocking; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override {
    for (Reading& reading : out) reading = {};
    const auto now = line(machine_);
    if (!now) {
      complaint_ = now.error();
      return;
    }
    std::size_t at = 0;
    while (const auto rail = next_tegrastats_rail(*now, at))
      for (std::size_t i = 0; i < labels_.size(); ++i)
        if (labels_[i] == rail->label && out[i].quality == Quality::gap) out[i] = {rail->now_mw, Quality::ok};
  }
  [[nodiscard]] std::vector<Unavailable> complaints() override {
    if (!complaint_) return {};
    const auto error = *std::exchange(complaint_, std::nullopt);
    return {{channels_.front().name, error.where + ": " + error.what, error.fix}};
  }

 private:
  Machine& machine_;
  std::vector<Channel> channels_;
  std::vector<std::string> labels_;
  std::optional<Error> complaint_;
};

std::unique_ptr<Sensor> make_tegrastats(Machine& machine, std::vector<FoundRail>& rails, const JetsonBoard* board,
                                        std::string& whole, std::vector<Unavailable>& unavailable) {
  const auto line = TegrastatsSensor::line(machine);
  if (!line) {
    unavailable.push_back({"jetson",
                           "no rail of this Jetson can be read: hwmon and ina3221x show none, and " +
                               line.error().where + ": " + line.error().what,
                           "load the driver (sudo modprobe ina3221), or in a container pass /sys of the host"});
    return nullptr;
  }
  std::vector<Channel> channels;
  std::vector<std::string> labels;
  std::size_t at = 0;
  while (const auto rail = next_tegrastats_rail(*line, at)) {
    const std::string label(rail->label);
    if (std::ranges::find(labels, label) != labels.end()) continue;
    auto channel = rail_channel(label, "tegrastats");
    channel.id = {static_cast<std::uint32_t>(channels.size())};
    channel.averaging_window = channel.update_period = tegrastats_interval;
    rails.push_back({label, channels.size()});
    labels.push_back(label);
    channels.push_back(std::move(channel));
  }
  if (channels.empty()) return nullptr;
  if (board != nullptr) whole = arrange_rails(*board, rails, channels);
  return std::make_unique<TegrastatsSensor>(machine, std::move(channels), std::move(labels));
}

// Load, clock, fan; and what nvpmodel and jetson_clocks do.
class JetsonConditions final : public Sensor {
 public:
  JetsonConditions(std::unique_ptr<Sensor> files, std::optional<IntegerFile> activity, std::optional<IntegerFile> clock,
                   StateWatch watch)
      : files_(std::move(files)), activity_(std::move(activity)), clock_(std::move(clock)), watch_(std::move(watch)) {
    if (files_) channels_.assign(files_->channels().begin(), files_->channels().end());
    if (!activity_ || !clock_) return;
    auto channel = jetson_channel("memory-load", "actmon", Measure::fraction, 1e-3);
    channel.id = {static_cast<std::uint32_t>(channels_.size())};
    channel.origin = Origin::derived;
    channels_.push_back(std::move(channel));
  }
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::slow; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override {
    if (files_) files_->read(out.first(files_->channels().size()));
    if (!activity_ || !clock_) return;
    const auto activity = activity_->read(), clock = clock_->read();
    out.back() = {};
    if (activity.quality == Quality::gap || clock.quality == Quality::gap) return;
    // percent = mc_all / kHz, so thousandths = mc_all · 10⁴ / Hz. Above 1000: this kernel counts in another unit.
    const auto thousandths = jetson_memory_load(activity.raw, clock.raw);
    if (thousandths) out.back() = {*thousandths, Quality::ok};
  }
  [[nodiscard]] std::vector<Event> changes() override { return watch_.changes(); }
  [[nodiscard]] std::vector<Unavailable> complaints() override {
    return files_ ? files_->complaints() : std::vector<Unavailable>{};
  }

 private:
  std::unique_ptr<Sensor> files_;
  std::optional<IntegerFile> activity_, clock_;
  StateWatch watch_;
  std::vector<Channel> channels_;
};

std::optional<IntegerFile> first_readable(Machine& machine, std::span<const std::string_view> paths) {
  for (const auto path : paths) {
    auto file = IntegerFile::open(machine, std::string(path), IntegerSign::signed_64);
    if (file && file->read().quality != Quality::gap) return std::move(*file);
  }
  return std::nullopt;
}

std::unique_ptr<Sensor> make_conditions(Machine& machine, std::vector<Unavailable>& unavailable,
                                        std::vector<Unavailable>& notes) {
  FileSensorBuilder builder(machine);
  const auto gpu = jetson_gpu(machine);
  if (!gpu.load.empty()) builder.add(jetson_channel("gpu-load", "gpu", Measure::fraction, 1e-3), gpu.load);
  if (!gpu.devfreq.empty())
    builder.add(jetson_channel("gpu-clock", "gpu", Measure::frequency, 1), gpu.devfreq + "/cur_freq");
  if (const auto fan = jetson_fan_duty(machine); !fan.empty())
    builder.add(jetson_channel("fan-duty", "fan", Measure::fraction, 1.0 / 255), fan);
  auto activity = first_readable(machine, jetson_memory_activity_files());
  auto clock = first_readable(machine, jetson_memory_clock_files());
  if (!activity || !clock)
    notes.push_back({"jetson.memory-load.fraction",
                     std::string("the memory's ") + (!activity ? "activity (actmon)" : "clock") +
                         " cannot be read: it lies below /sys/kernel/debug, which is root's",
                     "run as root, or sudo mount -o remount,mode=755 /sys/kernel/debug   (until reboot)"});
  StateWatch watch(machine, "power-mode");
  watch.add("jetson", "power mode (nvpmodel)", std::string(nvpmodel_status_file),
            [&machine](std::string_view) { return jetson_power_mode(machine); });
  watch.add("jetson", "clocks held (jetson_clocks)", "/sys/devices/system/cpu/cpufreq/policy0/scaling_min_freq",
            [&machine](std::string_view) { return jetson_clocks_held(machine); });
  auto files = builder.finish(LaneKind::slow);
  unavailable.insert(unavailable.end(), files.unavailable.begin(), files.unavailable.end());
  if (!files.sensor && !(activity && clock) && watch.empty()) return nullptr;
  return std::make_unique<JetsonConditions>(std::move(files.sensor), std::move(activity), std::move(clock),
                                            std::move(watch));
}

bool hwmon_has_rails(Machine& machine) {
  return std::ranges::any_of(names_in(machine, "/sys/class/hwmon"), [&](const std::string& chip) {
    const auto folder = "/sys/class/hwmon/" + chip + "/";
    return machine.read_text(folder + "name").value_or("").starts_with("ina") && machine.exists(folder + "curr1_input");
  });
}

}  // namespace

Probe make_jetson(Machine& machine, const SensorOptions&) {
  Probe probe;
  if (!is_jetson(machine)) {
    probe.unavailable.push_back({"jetson", "this machine's device tree names no NVIDIA Tegra: it is no Jetson", {}});
    return probe;
  }
  const JetsonBoard* const board = jetson_board(machine);
  FileSensorBuilder builder(machine);
  auto rails = add_iio_rails(machine, builder);
  std::string whole;
  if (!rails.empty()) {
    builder.number();
    if (board != nullptr) whole = arrange_rails(*board, rails, builder.channels());
    const auto lane = builder.read_time() <= fast_enough ? LaneKind::fast : LaneKind::blocking;
    auto found = builder.finish(lane);
    probe.sensor = std::move(found.sensor);
    probe.unavailable = std::move(found.unavailable);
  } else if (!hwmon_has_rails(machine)) {
    probe.sensor = make_tegrastats(machine, rails, board, whole, probe.unavailable);
  }
  if (const auto note = rails_note(machine, rails, whole))
    probe.notes.push_back({"jetson", *note, "measure the board's input with a plug or a meter beside it"});
  auto conditions = make_conditions(machine, probe.unavailable, probe.notes);
  if (!probe.sensor)
    probe.sensor = std::move(conditions);
  else if (conditions)
    probe.more.push_back(std::move(conditions));
  return probe;
}

}  // namespace prony
