#include "sensors/sum_sensor.hpp"

#include <algorithm>

namespace prony {

namespace {

class SumSensor final : public Sensor {
 public:
  SumSensor(LaneKind lane, std::vector<Channel> channels, std::vector<std::vector<IntegerFile>> parts)
      : lane_(lane), channels_(std::move(channels)), parts_(std::move(parts)) {}

  [[nodiscard]] LaneKind lane() const noexcept override { return lane_; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override {
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      Reading sum{0, Quality::ok};
      for (auto& part : parts_[i]) {
        const auto reading = part.read();
        if (reading.quality == Quality::gap || __builtin_add_overflow(sum.raw, reading.raw, &sum.raw))
          sum.quality = Quality::gap;
      }
      out[i] = sum.quality == Quality::gap ? Reading{} : sum;
    }
  }
  [[nodiscard]] std::vector<Unavailable> complaints() override {
    std::vector<Unavailable> result;
    for (std::size_t i = 0; i < parts_.size(); ++i)
      for (auto& part : parts_[i])
        if (const auto fault = part.take_fault())
          result.push_back({channels_[i].name, fault->where + ": " + fault->what, fault->fix});
    return result;
  }

 private:
  LaneKind lane_;
  std::vector<Channel> channels_;
  std::vector<std::vector<IntegerFile>> parts_;
};

}  // namespace

std::size_t most_files_of_sensor(const Machine& machine) noexcept {
  constexpr std::size_t enough = 16 * 1024;
  return std::min(machine.most_open_files() / 8 * 3, enough);
}

bool SumSensorBuilder::add(Channel channel, const std::vector<std::string>& paths, const std::string& remedy) {
  std::vector<IntegerFile> files;
  for (const auto& path : paths) {
    auto file = IntegerFile::open(machine_, path, IntegerSign::signed_64);
    if (!file) {
      const bool denied = file.error().code == ErrorCode::denied;
      unavailable_.push_back({channel.name, path + ": " + file.error().what, denied ? remedy : file.error().fix});
      continue;
    }
    if (file->read().quality == Quality::gap) {
      const auto fault = file->take_fault();
      unavailable_.push_back({channel.name, path + ": " + (fault ? fault->what : "cannot be read"), {}});
      continue;
    }
    files.push_back(std::move(*file));
  }
  if (files.empty()) return false;
  channel.id = {static_cast<std::uint32_t>(channels_.size())};
  channels_.push_back(std::move(channel));
  parts_.push_back(std::move(files));
  return true;
}

Probe SumSensorBuilder::finish(LaneKind lane) {
  Probe probe;
  if (!channels_.empty()) probe.sensor = std::make_unique<SumSensor>(lane, std::move(channels_), std::move(parts_));
  probe.unavailable = std::move(unavailable_);
  return probe;
}

}  // namespace prony
