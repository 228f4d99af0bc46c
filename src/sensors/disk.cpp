// disk: bytes read and written by whole block devices, and the time they were busy.
// reads       /sys/block/*/stat, one pread per device: fields 3 and 7 (sectors of 512 bytes), 10 (ms with I/O in
// flight) not /proc/diskstats: one pread of it ends after a page, and it mixes partitions, loop devices and disks
// counted     devices that hold data themselves: not loop and ram devices, not partitions, not what is stacked on other
//             devices (dm, md: it has `slaves`), not hidden paths of a multipath NVMe
// period      at every read;  wrap the busy time at 2^32 ms, sectors at 2^32 on a 32-bit kernel;  privilege none
// bound       above 8 devices one sum of all, each device only on request;  part_of nothing
// source      Documentation/block/stat.rst, Documentation/admin-guide/iostats.rst
#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "sensors/file_sensor.hpp"
#include "sensors/rows.hpp"
#include "sensors/text_file.hpp"

namespace prony {

namespace {

constexpr std::size_t most_disks_shown = 8;
constexpr std::size_t most_devices = 256;
constexpr std::array<std::size_t, 3> stat_fields{2, 6, 9};  // fields of `stat`, from 0

bool holds_data(Machine& machine, const std::string& name) {
  for (const std::string_view stem : {"loop", "ram", "zram"})
    if (name.starts_with(stem) && parse_u64(std::string_view(name).substr(stem.size()))) return false;
  const auto folder = "/sys/block/" + name;
  if (!machine.list(folder + "/slaves").value_or(std::vector<std::string>{}).empty()) return false;
  if (machine.exists(folder + "/md")) return false;  // an array without members tells nothing
  if (probe_integer(machine, folder + "/hidden").value_or(0) == 1) return false;
  return probe_integer(machine, folder + "/size").value_or(1) != 0;  // an empty card reader or unused nbd
}

std::vector<Channel> disk_channels(const std::string& device) {
  std::vector<Channel> channels(3);
  for (std::size_t i = 0; i < channels.size(); ++i) {
    auto& channel = channels[i];
    channel.sensor = "disk";
    channel.device = device;
    channel.domain = "disk-" + name_part(device);
    channel.name = "disk." + name_part(device) + (i == 0 ? ".read" : i == 1 ? ".written" : ".busy");
    channel.measure = i < 2 ? Measure::data : Measure::time;
    channel.kind = ChannelKind::counter;
    channel.scale = i < 2 ? 512 : 1e-3;
    if (i == 2 && device != "all") channel.range = std::uint64_t{1} << 32;
  }
  return channels;
}

// All devices, each with three channels, or one sum.
class DiskSensor final : public Sensor {
 public:
  DiskSensor(std::vector<TextFile> files, std::vector<Channel> channels, bool sum)
      : files_(std::move(files)), channels_(std::move(channels)), sum_(sum) {
    for (std::size_t i = 0; i < channels_.size(); ++i) channels_[i].id = {static_cast<std::uint32_t>(i)};
  }
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::slow; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override {
    if (sum_) std::fill_n(out.begin(), stat_fields.size(), Reading{0, Quality::ok});
    TextBuffer buffer;
    for (std::size_t file = 0; file < files_.size(); ++file) {
      const auto text = files_[file].read(buffer);
      for (std::size_t i = 0; i < stat_fields.size(); ++i) {
        const auto value = text.empty() ? std::nullopt : number_in_line(text, stat_fields[i]);
        if (!value && !text.empty()) files_[file].note_malformed();
        if (!sum_) {
          out[file * stat_fields.size() + i] = value ? Reading{*value, Quality::ok} : Reading{};
        } else if (!value || __builtin_add_overflow(out[i].raw, *value, &out[i].raw)) {
          out[i].quality = Quality::gap;
        }
      }
    }
  }
  [[nodiscard]] std::vector<Unavailable> complaints() override {
    std::vector<Unavailable> result;
    for (std::size_t file = 0; file < files_.size(); ++file)
      if (const auto fault = files_[file].take_fault())
        result.push_back({channels_[sum_ ? 0 : file * stat_fields.size()].name, fault->where + ": " + fault->what, {}});
    return result;
  }

 private:
  std::vector<TextFile> files_;
  std::vector<Channel> channels_;
  bool sum_;
};

}  // namespace

Probe make_disk(Machine& machine, const SensorOptions& options) {
  Probe probe;
  std::vector<TextFile> files;
  std::vector<std::string> names;
  for (const auto& name : machine.list("/sys/block").value_or(std::vector<std::string>{})) {
    if (names.size() == most_devices || !holds_data(machine, name)) continue;
    auto file = TextFile::open(machine, "/sys/block/" + name + "/stat");
    TextBuffer buffer;
    if (file && !number_in_line(file->read(buffer), stat_fields.back())) {
      probe.unavailable.push_back({"disk." + name_part(name), file->path() + ": is not the statistics of a disk", {}});
    } else if (file) {
      (void)file->take_fault();
      files.push_back(std::move(*file));
      names.push_back(name);
    } else if (file.error().code != ErrorCode::absent) {
      probe.unavailable.push_back({"disk." + name_part(name), file.error().where + ": " + file.error().what, {}});
    }
  }
  if (files.empty()) {
    if (probe.unavailable.empty()) probe.unavailable.push_back({"disk", "no disk in /sys/block", {}});
    return probe;
  }
  const bool sum = files.size() > most_disks_shown && !options.every_channel;
  if (sum) names.assign(1, "all");
  std::vector<Channel> channels;
  for (const auto& name : names)
    for (auto& channel : disk_channels(name)) channels.push_back(std::move(channel));
  probe.sensor = std::make_unique<DiskSensor>(std::move(files), std::move(channels), sum);
  return probe;
}

}  // namespace prony
