// NvmlQuery: one call to NVML and the channels that it fills, and the sensor that makes such calls in one lane.
// Thread promise: as Sensor. Units: in the channels' scales. Ownership: queries share their GPU.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sensors/nvml_gpu.hpp"
#include "sensors/nvml_state.hpp"
#include "sensors/nvml_users.hpp"
#include "sensors/sensor.hpp"

namespace prony {

struct NvmlQuery {
  std::string what;                    // "energy counter": for people
  std::vector<Channel> channels = {};  // ids and part_of are set by the sensor
  // Fills one reading per channel; a value that stands for nothing, or cannot be, is a gap. Error: all are.
  std::function<nvml::Status(NvmlGpu&, std::span<Reading>)> read = {};
  Duration cost = {};  // median of some calls, learned when it was made
  bool fast = false;   // renewed several times a second
};

// What there is to ask of a GPU: tried once, those that gave nothing are left out and named in `missing`.
struct NvmlFound {
  std::vector<NvmlQuery> queries;
  std::vector<Within> within;
  std::vector<std::pair<std::string, std::string>> missing;  // what, why
  bool energy = false;                                       // it counts its energy itself
  std::string power_kind;                                    // how its power is meant, for people
};
[[nodiscard]] NvmlFound find_nvml_queries(Machine& machine, NvmlGpu& gpu);

class NvmlSensor : public Sensor {
 public:
  // `state` may be null: then another sensor of the GPU tells its states.
  NvmlSensor(std::shared_ptr<NvmlGpu> gpu, std::vector<NvmlQuery> queries, std::unique_ptr<NvmlState> state,
             std::string_view lane, Duration pace);
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::blocking; }
  [[nodiscard]] std::string_view lane_name() const noexcept override { return lane_; }
  [[nodiscard]] Duration pace() const noexcept override { return pace_; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override;
  [[nodiscard]] std::vector<Event> changes() override;
  [[nodiscard]] std::vector<Unavailable> complaints() override;

 private:
  std::shared_ptr<NvmlGpu> gpu_;
  std::vector<NvmlQuery> queries_;
  std::unique_ptr<NvmlState> state_;
  std::string_view lane_;  // a constant of the program
  Duration pace_;
  std::vector<Channel> channels_;
  std::unique_ptr<std::atomic<nvml::Status>[]> faults_;  // per query: why it failed, until somebody asked
  std::unique_ptr<std::atomic<bool>[]> nothing_;         // per channel: gave what stands for nothing
};

// The one of a GPU's sensors that also tells who uses it.
class NvmlSensorWithUsers final : public NvmlSensor, public DeviceUsers {
 public:
  NvmlSensorWithUsers(Machine& machine, const std::shared_ptr<NvmlGpu>& gpu, std::vector<NvmlQuery> queries,
                      std::string_view lane, Duration pace)
      : NvmlSensor(gpu, std::move(queries), std::make_unique<NvmlState>(machine, gpu), lane, pace),
        users_(machine, gpu) {}
  [[nodiscard]] const std::string& users_device() const noexcept override { return users_.facts().uuid; }
  [[nodiscard]] const std::string& users_domain() const noexcept override { return users_.facts().domain; }
  [[nodiscard]] std::string why_no_users() override { return users_.why_not(); }
  [[nodiscard]] bool look_at_users(std::vector<DeviceUse>& out) override { return users_.look(out); }

 private:
  NvmlUsers users_;
};

}  // namespace prony
