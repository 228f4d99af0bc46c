// memory: what of the machine's memory is used and what is available.
// reads       /proc/meminfo, once for both: used = MemTotal − MemAvailable, available = MemAvailable
// unit        bytes, gauges (the file's "kB" are KiB);  period: at every read;  privilege none;  part_of nothing
// source      Documentation/filesystems/proc.rst (MemAvailable since Linux 3.14)
#include <array>
#include <atomic>
#include <charconv>
#include <optional>

#include "sensors/rows.hpp"

namespace prony {

namespace {

// "MemTotal:       8024048 kB" → bytes.
std::optional<std::int64_t> bytes_of(std::string_view text, std::string_view key) noexcept {
  auto at = text.find(key);
  if (at == std::string_view::npos || (at != 0 && text[at - 1] != '\n')) return std::nullopt;
  at += key.size();
  while (at < text.size() && text[at] == ' ') ++at;
  std::int64_t kib = 0;
  const auto [stop, error] = std::from_chars(text.data() + at, text.data() + text.size(), kib);
  const auto rest = std::string_view(stop, static_cast<std::size_t>(text.data() + text.size() - stop));
  if (error != std::errc{} || !rest.starts_with(" kB\n") || kib < 0 || kib > INT64_MAX / 1024) return std::nullopt;
  return kib * 1024;
}

class MemorySensor final : public Sensor {
 public:
  explicit MemorySensor(std::unique_ptr<File> file) : file_(std::move(file)) {
    for (std::uint32_t i = 0; i < channels_.size(); ++i) {
      auto& channel = channels_[i];
      channel.id = {i};
      channel.name = i == 0 ? "memory.used" : "memory.available";
      channel.sensor = "memory";
      channel.device = "/proc/meminfo";
      channel.domain = "memory";
      channel.measure = Measure::memory;
      channel.resolution = 1024;
    }
  }
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::slow; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override {
    std::array<char, 512> buffer;  // the lines wanted are the first and the third
    const auto count = file_->read(buffer);
    const std::string_view text(buffer.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
    const auto total = bytes_of(text, "MemTotal:");
    const auto available = bytes_of(text, "MemAvailable:");
    const bool good = total && available && *available <= *total;
    failing_.store(!good, std::memory_order_relaxed);
    out[0] = good ? Reading{*total - *available, Quality::ok} : Reading{};
    out[1] = good ? Reading{*available, Quality::ok} : Reading{};
  }
  [[nodiscard]] std::vector<Unavailable> complaints() override {
    if (!failing_.load(std::memory_order_relaxed)) return {};
    return {{"memory", "/proc/meminfo: cannot be read, or holds no believable MemTotal and MemAvailable", {}}};
  }

 private:
  std::unique_ptr<File> file_;
  std::array<Channel, 2> channels_;
  std::atomic<bool> failing_ = false;
};

}  // namespace

Probe make_memory(Machine& machine, const SensorOptions&) {
  Probe probe;
  auto file = machine.open("/proc/meminfo");
  if (!file) {
    probe.unavailable.push_back({"memory", "/proc/meminfo: " + file.error().what, {}});
    return probe;
  }
  auto sensor = std::make_unique<MemorySensor>(std::move(*file));
  std::array<Reading, 2> readings;
  sensor->read(readings);
  if (readings[0].quality == Quality::gap) {
    probe.unavailable = sensor->complaints();
    return probe;
  }
  probe.sensor = std::move(sensor);
  return probe;
}

}  // namespace prony
