// A simulated machine with simulated NVIDIA GPUs, and what the nvml row makes of it.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "machine/nvml_simulated.hpp"
#include "machine/simulated.hpp"
#include "sensors/report.hpp"
#include "sensors/rows.hpp"

namespace prony {

inline constexpr const char* first_gpu = "GPU-8f1c2d3e-0000-4000-8000-000000000001";

struct NvmlRig {
  explicit NvmlRig(std::vector<SimulatedGpu> gpus) {
    machine.set_now(Instant{5'000'000'000});
    nvml = std::make_shared<SimulatedNvml>(std::move(gpus), [this] { return machine.now() - Instant{}; });
  }
  NvmlRig(const NvmlRig&) = delete;
  NvmlRig& operator=(const NvmlRig&) = delete;

  static SimulatedGpu gpu(const std::string& uuid, const std::string& power) {
    SimulatedGpu made;
    made.uuid = uuid;
    made.name = "NVIDIA H100 80GB HBM3";
    made.power = PowerCurve::parse(power).value();
    return made;
  }

  void probe() {
    machine.set_library("libnvidia-ml.so.1", table ? *table : nvml->table());
    found = make_nvml(machine, {});
    sensors.clear();
    if (found.sensor) sensors.push_back(found.sensor.get());
    for (const auto& one : found.more) sensors.push_back(one.get());
    channels.clear();
    for (Sensor* sensor : sensors)
      for (const Channel& channel : sensor->channels()) {
        channels.push_back(channel);
        channels.back().id = {static_cast<std::uint32_t>(channels.size() - 1)};
      }
    resolve_within(found.within, channels);
  }
  // Of all sensors, by channel name.
  std::map<std::string, Reading> read() {
    std::map<std::string, Reading> all;
    for (Sensor* sensor : sensors) {
      std::vector<Reading> readings(sensor->channels().size());
      sensor->read(readings);
      for (std::size_t i = 0; i < readings.size(); ++i) all[sensor->channels()[i].name] = readings[i];
    }
    return all;
  }
  std::map<std::string, Reading> read_at(double s) {
    machine.set_now(Instant{static_cast<std::int64_t>(s * 1e9)});
    return read();
  }
  const Channel* channel(const std::string& name) const {
    const auto at = std::find_if(channels.begin(), channels.end(), [&](const Channel& c) { return c.name == name; });
    return at == channels.end() ? nullptr : &*at;
  }
  std::string whole_of(const std::string& name) const {
    const Channel* one = channel(name);
    return one != nullptr && one->part_of ? channels[one->part_of->value].name : "";
  }
  std::string notes() const {
    std::string all;
    for (const auto* list : {&found.unavailable, &found.notes})
      for (const Unavailable& one : *list) all += one.subject + ": " + one.reason + "\n";
    return all;
  }
  std::vector<std::string> events() {
    std::vector<std::string> all;
    for (Sensor* sensor : sensors)
      for (const Event& event : sensor->changes()) all.push_back(event.kind + " " + event.subject + " " + event.text);
    return all;
  }
  std::string complaints() {
    std::string all;
    for (Sensor* sensor : sensors)
      for (const Unavailable& one : sensor->complaints()) all += one.subject + ": " + one.reason + "\n";
    return all;
  }

  SimulatedMachine machine;
  std::shared_ptr<SimulatedNvml> nvml;
  std::unique_ptr<LibraryTable> table;  // in place of all functions
  Probe found;
  std::vector<Sensor*> sensors;
  std::vector<Channel> channels;
};

}  // namespace prony
