// amdgpu: AMD graphics processors: power or energy, clocks, load, memory of each card.
// reads       of each card's hwmon energy1_input (µJ, where there is one), power1_average, power1_input (µW),
// freq1_input
//             and freq2_input (Hz: shaders, memory); of its device gpu_busy_percent, mem_busy_percent,
//             mem_info_vram_used (bytes); where hwmon counts no energy, the accumulator in the binary gpu_metrics
//             (2^-16 J; versions 1.0 to 1.5). Temperatures and fans: hwmon-climate. Power caps: throttle
// unit        J, W, Hz, fraction, bytes;  wrap 64 bits, never
// period      not documented: the firmware's, between 1 ms and 100 ms; learned by `prony probe amdgpu`
// averaging   power1_average is the firmware's own mean over a time that AMD does not tell
// part_of     power < energy; instant < average of the same card. A card's power is known coverage; that of a processor
//             with graphics inside (in1_input, the north bridge's voltage, is told on those only) is the whole
//             processor's and overlaps RAPL: never added
// privilege   none
// lane        energy and power fast, or a thread of their own where one read of all takes over 100 µs; else slow
// source      Documentation/gpu/amdgpu/thermal.rst, driver-misc.rst; kgd_pp_interface.h (sensors/gpu_metrics.hpp)
#include <array>
#include <atomic>

#include "sensors/drm_cards.hpp"
#include "sensors/file_sensor.hpp"
#include "sensors/gpu_metrics.hpp"
#include "sensors/rows.hpp"

namespace prony {

namespace {

Channel amdgpu_channel(const DrmCard& card, const std::string& what, Measure measure, double scale) {
  return card_channel("amdgpu", card, what, measure, scale);
}

void add_energy_and_power(Machine& machine, const DrmCard& card, FileSensorBuilder& builder) {
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
  auto energy = amdgpu_channel(card, {}, Measure::energy, 1e-6);
  energy.kind = ChannelKind::counter;
  add("energy1_input", std::move(energy));
  add("power1_average", amdgpu_channel(card, {}, Measure::power, 1e-6));
  auto instant = amdgpu_channel(card, {}, Measure::power, 1e-6);
  if (builder.has(instant.name)) instant = amdgpu_channel(card, "instant", Measure::power, 1e-6);
  add("power1_input", std::move(instant));
}

// The accumulators of cards whose hwmon counts no energy.
class Accumulators final : public Sensor {
 public:
  explicit Accumulators(Machine& machine) : machine_(machine) {}
  void add(const DrmCard& card, bool has_power, Probe& notes);
  void finish(Probe& probe);

  [[nodiscard]] LaneKind lane() const noexcept override { return lane_; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override;
  [[nodiscard]] std::vector<Unavailable> complaints() override;

 private:
  struct Table {
    std::string path;
    std::unique_ptr<File> file;
    GpuMetricsLayout layout;
    std::int64_t next_reopen_ns = INT64_MIN;
    std::unique_ptr<std::atomic<bool>> failed = std::make_unique<std::atomic<bool>>(false);
  };
  [[nodiscard]] std::optional<std::uint64_t> energy_of(Table& table) noexcept;

  Machine& machine_;
  LaneKind lane_ = LaneKind::fast;
  std::vector<Channel> channels_;
  std::vector<Table> tables_;
  std::vector<Within> within_;
};

void Accumulators::add(const DrmCard& card, bool has_power, Probe& notes) {
  Table table;
  table.path = card.device() + "/gpu_metrics";
  auto file = machine_.open(table.path);
  if (!file) return;
  std::array<char, gpu_metrics_most_bytes> bytes;
  const auto count = (*file)->read(bytes);
  if (count <= 0) return;
  const std::span<const char> seen(bytes.data(), static_cast<std::size_t>(count));
  const auto layout = gpu_metrics_layout(seen);
  if (!layout || !gpu_metrics_energy(seen, *layout)) return;
  table.file = std::move(*file);
  table.layout = *layout;
  auto energy = amdgpu_channel(card, layout->unit_documented ? "" : "accumulator", Measure::energy, 0x1p-16);
  energy.kind = ChannelKind::counter;
  if (layout->width < 8) energy.range = std::uint64_t{1} << 8 * layout->width;
  const auto power = amdgpu_channel(card, {}, Measure::power, 1e-6).name;
  if (layout->unit_documented) {
    if (has_power) within_.push_back({power, energy.name});
  } else {
    energy.coverage_known = false;
    if (has_power) within_.push_back({energy.name, power});
    notes.notes.push_back({energy.name,
                           table.path +
                               " is of a version whose unit the kernel does not document: 2^-16 J is taken, as "
                               "AMD's tools do, and the channel is shown beside others and added to none",
                           {}});
  }
  channels_.push_back(std::move(energy));
  channels_.back().id = {static_cast<std::uint32_t>(channels_.size() - 1)};
  tables_.push_back(std::move(table));
}

std::optional<std::uint64_t> Accumulators::energy_of(Table& table) noexcept {
  std::array<char, gpu_metrics_most_bytes> bytes;
  const auto count = table.file->read(bytes);
  if (count > 0) return gpu_metrics_energy({bytes.data(), static_cast<std::size_t>(count)}, table.layout);
  if (const auto now = machine_.now().ns; now >= table.next_reopen_ns) {
    table.next_reopen_ns = now + 1'000'000'000;
    (void)table.file->reopen();
  }
  return std::nullopt;
}

void Accumulators::read(std::span<Reading> out) noexcept {
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    const auto counts = energy_of(tables_[i]);
    if (!counts) tables_[i].failed->store(true, std::memory_order_relaxed);
    out[i] = counts ? Reading{static_cast<std::int64_t>(*counts), Quality::ok} : Reading{0, Quality::gap};
  }
}

std::vector<Unavailable> Accumulators::complaints() {
  std::vector<Unavailable> told;
  for (std::size_t i = 0; i < tables_.size(); ++i)
    if (tables_[i].failed->exchange(false, std::memory_order_relaxed))
      told.push_back({channels_[i].name, tables_[i].path + ": cannot be read, or is not the table that it was", {}});
  return told;
}

// Each read asks the card's firmware: what takes long gets a thread of its own.
void Accumulators::finish(Probe& probe) {
  if (tables_.empty()) return;
  const auto begin = machine_.now();
  for (Table& table : tables_) (void)energy_of(table);
  lane_ = machine_.now() - begin <= fast_enough ? LaneKind::fast : LaneKind::blocking;
  probe.within.insert(probe.within.end(), within_.begin(), within_.end());
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
    if (machine.exists(path)) builder.add(amdgpu_channel(card, row.what, row.measure, row.scale), path);
  }
}

}  // namespace

Probe make_amdgpu(Machine& machine, const SensorOptions&) {
  FileSensorBuilder energy(machine), conditions(machine);
  auto accumulators = std::make_unique<Accumulators>(machine);
  Probe probe;
  const auto cards = drm_cards(machine, {"amdgpu"});
  for (const auto& card : cards) {
    add_energy_and_power(machine, card, energy);
    if (!energy.has(amdgpu_channel(card, {}, Measure::energy, 1).name))
      accumulators->add(card, energy.has(amdgpu_channel(card, {}, Measure::power, 1).name), probe);
    add_conditions(machine, card, conditions);
  }
  if (cards.empty()) {
    probe.unavailable.push_back({"amdgpu", "no card of the driver amdgpu in /sys/class/drm", {}});
    return probe;
  }
  const auto lane = energy.read_time() <= fast_enough ? LaneKind::fast : LaneKind::blocking;
  auto slow = conditions.finish(LaneKind::slow);
  auto files = energy.finish(lane);
  probe.sensor = std::move(files.sensor);
  probe.unavailable = std::move(files.unavailable);
  accumulators->finish(probe);
  if (!accumulators->channels().empty()) {
    if (!probe.sensor)
      probe.sensor = std::move(accumulators);
    else
      probe.more.push_back(std::move(accumulators));
  }
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
