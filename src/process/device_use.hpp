// DeviceUseByTarget: how long each target used each device (a GPU), from what the devices' drivers tell of processes:
// what a device's energy is split by. Channels, in ns of the device's time, domain as that of its energy: "use.gpu-0"
// of everybody, "prony.gpu-0.use", "target.gpu-0.use" or "target.NAME.gpu-0.use", and what each target holds of its
// memory. A device whose driver does not tell has no channels, and a reason: its energy is then not separable, never
// guessed. Thread promise: as Sensor. Ownership: devices are the sensors' and must outlive it. Errors: reasons in
// `unavailable`.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "model/manifest.hpp"
#include "process/visible_devices.hpp"
#include "sensors/device_users.hpp"
#include "sensors/sensor.hpp"

namespace prony {

struct DeviceUseOptions {
  std::vector<std::string> targets;  // Target::name, in the Run's order; "" for a command that is the only one
  std::function<std::optional<std::size_t>(std::int64_t pid)> target_of;  // index into `targets`; nullopt: foreign
  std::int64_t own_pid = 0;
};

class DeviceUseByTarget final : public Sensor {
 public:
  // Null where no device tells; `unavailable` says why.
  [[nodiscard]] static std::unique_ptr<DeviceUseByTarget> create(Machine& machine,
                                                                 const std::vector<DeviceUsers*>& devices,
                                                                 DeviceUseOptions options,
                                                                 std::vector<Unavailable>& unavailable);

  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::blocking; }
  [[nodiscard]] std::string_view lane_name() const noexcept override { return "device-use"; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override;
  [[nodiscard]] std::vector<Unavailable> complaints() override;
  // Which devices each target used or held, what it was shown of them (CUDA_VISIBLE_DEVICES), and which none used. When
  // sampling has ended.
  [[nodiscard]] std::vector<Fact> facts() const;

 private:
  struct Device {
    DeviceUsers* users = nullptr;
    std::int64_t everybody_ns = 0, own_ns = 0;
    std::vector<std::int64_t> used_ns;        // by target
    std::vector<std::uint64_t> memory_bytes;  // by target, of the last look
    std::vector<bool> touched;                // by target: used or held it at any look
    bool failed = false, told = false;
  };
  DeviceUseByTarget(Machine& machine, DeviceUseOptions options)
      : machine_(machine), options_(std::move(options)), shown_(options_.targets.size()) {}
  void add_device(DeviceUsers& users);
  [[nodiscard]] Channel channel(const DeviceUsers& users, const std::string& name, Scope scope) const;
  void look(Device& device);
  void note_shown(std::size_t target, std::int64_t pid);

  Machine& machine_;
  DeviceUseOptions options_;
  std::vector<Channel> channels_;  // per device: everybody, Prony, then of each target its use and its memory
  mutable std::mutex mutex_;
  std::vector<Device> devices_;
  std::vector<DeviceUse> seen_;
  std::vector<NamedDevice> named_;                 // all of the machine, also those that do not tell
  std::vector<std::optional<std::string>> shown_;  // by target: of its first process; "": nothing hides a GPU from it
};

}  // namespace prony
