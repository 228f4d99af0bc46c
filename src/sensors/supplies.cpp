#include "sensors/supplies.hpp"

#include <algorithm>
#include <cmath>

#include "base/interruptible.hpp"
#include "sensors/wall.hpp"

namespace prony {

namespace {

constexpr double sum_scale = 1e-3;  // W of one count

class Supplies final : public Sensor, public Interruptible {
 public:
  explicit Supplies(std::vector<std::unique_ptr<Sensor>> parts) : parts_(std::move(parts)) {
    Channel sum;
    sum.sensor = "supplies";
    sum.name = "supplies.wall.power";
    sum.domain = "wall";
    sum.measure = Measure::power;
    sum.scale = sum_scale;
    sum.resolution = 1;
    channels_.push_back(sum);
    for (const auto& part : parts_) {
      const auto first = static_cast<std::uint32_t>(channels_.size());
      bool found = false;
      for (Channel channel : part->channels()) {
        if (!found && channel.measure == Measure::power) {
          found = true;
          add(channel, channels_.size());
        }
        channel.id = {static_cast<std::uint32_t>(channels_.size())};
        if (channel.part_of)
          channel.part_of = ChannelId{first + channel.part_of->value};
        else if (at_the_wall(channel))
          channel.part_of = ChannelId{0};
        channels_.push_back(std::move(channel));
      }
    }
  }

  [[nodiscard]] LaneKind lane() const noexcept override {
    const bool fast = std::ranges::all_of(parts_, [](const auto& part) { return part->lane() == LaneKind::fast; });
    return fast ? LaneKind::fast : LaneKind::blocking;
  }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  [[nodiscard]] Duration pace() const noexcept override {
    Duration pace{0};
    for (const auto& part : parts_) pace = std::max(pace, part->pace());
    return pace;
  }
  void read(std::span<Reading> out) noexcept override {
    std::size_t next = 1;
    for (const auto& part : parts_) {
      part->read(out.subspan(next, part->channels().size()));
      next += part->channels().size();
    }
    double watts = 0;
    Quality quality = Quality::ok;
    for (const std::size_t at : powers_) {
      watts += static_cast<double>(out[at].raw) * channels_[at].scale;
      if (out[at].quality == Quality::gap || quality == Quality::gap)
        quality = Quality::gap;
      else if (out[at].quality == Quality::late)
        quality = Quality::late;
    }
    out[0] = quality == Quality::gap ? Reading{} : Reading{std::llround(watts / sum_scale), quality};
  }
  void interrupt() noexcept override {
    for (const auto& part : parts_)
      if (auto* one = dynamic_cast<Interruptible*>(part.get())) one->interrupt();
  }
  [[nodiscard]] std::vector<Event> changes() override {
    std::vector<Event> all;
    for (const auto& part : parts_)
      for (Event& event : part->changes()) all.push_back(std::move(event));
    return all;
  }
  [[nodiscard]] std::vector<Unavailable> complaints() override {
    std::vector<Unavailable> all;
    for (const auto& part : parts_)
      for (Unavailable& complaint : part->complaints()) all.push_back(std::move(complaint));
    return all;
  }

 private:
  // The sum is as old as the oldest of its parts, and its steps are all of theirs.
  void add(const Channel& power, std::size_t at) {
    Channel& sum = channels_.front();
    sum.device += (sum.device.empty() ? "" : " + ") + power.device;
    sum.update_period = std::max(sum.update_period, power.update_period);
    sum.averaging_window = std::max(sum.averaging_window, power.averaging_window);
    sum.resolution += power.resolution * power.scale / sum_scale;
    powers_.push_back(at);
  }

  std::vector<std::unique_ptr<Sensor>> parts_;
  std::vector<Channel> channels_;    // the sum, then theirs
  std::vector<std::size_t> powers_;  // of them, those that are added
};

bool reads_power_of(const Sensor& sensor, const Meter& meter) {
  return std::ranges::any_of(sensor.channels(), [&](const Channel& channel) {
    return at_the_wall(channel) && channel.measure == Measure::power &&
           channel.name == channel.sensor + "." + meter.name + ".power";
  });
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " + ") + name;
  return text;
}

}  // namespace

void join_supplies(std::span<const Meter> meters, std::vector<std::unique_ptr<Sensor>>& sensors,
                   std::vector<Unavailable>& told) {
  std::vector<std::string> marked, missing, plain;
  std::vector<std::size_t> found;
  for (const Meter& meter : meters) {
    const auto sensor = std::ranges::find_if(sensors, [&](const auto& one) { return reads_power_of(*one, meter); });
    if (!meter.has("supply")) {
      if (sensor != sensors.end()) plain.push_back(meter.name);
      continue;
    }
    marked.push_back(meter.name);
    if (sensor == sensors.end())
      missing.push_back(meter.name);
    else
      found.push_back(static_cast<std::size_t>(sensor - sensors.begin()));
  }
  if (plain.size() > 1)
    told.push_back({"meters",
                    "the meters " + list_of(plain) +
                        " are not added: nobody told whether they see several supplies of this machine or the same",
                    "If each is at another power supply of this machine, say so behind each:  --meter "
                    "a=shelly://192.0.2.7#supply"});
  if (marked.empty()) return;
  if (marked.size() == 1)
    return told.push_back({"supplies", "only " + marked.front() + " is marked as the meter of one supply of several",
                           "Name the others, too, or leave #supply out if it sees the whole machine."}),
           void();
  if (!missing.empty())
    return told.push_back({"supplies",
                           "no sum of " + list_of(marked) + ": the power of " + list_of(missing) + " cannot be read",
                           {}}),
           void();
  std::vector<std::unique_ptr<Sensor>> parts;
  for (const std::size_t at : found) parts.push_back(std::move(sensors[at]));
  sensors[found.front()] = std::make_unique<Supplies>(std::move(parts));
  std::erase(sensors, nullptr);
}

}  // namespace prony
