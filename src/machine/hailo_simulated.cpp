#include "machine/hailo_simulated.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

namespace prony {

SimulatedHailo::SimulatedHailo(std::vector<SimulatedHailoChip> chips, Clock clock)
    : chips_(std::move(chips)), clock_(std::move(clock)) {}

bool SimulatedHailo::within_fault(Duration t) const {
  return t >= fault_.at && (fault_.length.ns == 0 || t < fault_.at + fault_.length);
}

int SimulatedHailo::protection_switched_off() const {
  const std::lock_guard lock(mutex_);
  return protection_off_;
}

int SimulatedHailo::open_handles() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(std::ranges::count_if(handles_, [](const Handle& one) { return !one.released; }));
}

SimulatedHailo::Call SimulatedHailo::begin(hailo::Device device) {
  Call call;
  call.t = clock_();
  const std::lock_guard lock(mutex_);
  const auto* handle = reinterpret_cast<const Handle*>(device);
  const auto known = [handle](const Handle& one) { return &one == handle && !one.released; };
  if (std::ranges::none_of(handles_, known)) {
    call.status = hailo::invalid_argument;
    return call;
  }
  call.chip = &chips_[handle->chip];
  using Kind = SimulatedHailoFault::Kind;
  if (fault_.kind == Kind::lost && call.t >= fault_.at && handle->opened < fault_.at)
    call.status = hailo::driver_failed;
  if (!within_fault(call.t)) return call;
  if (fault_.kind == Kind::error) call.status = hailo::firmware_refused;
  if (fault_.kind == Kind::stale) call.t = fault_.at;
  call.blank = fault_.kind == Kind::blank;
  return call;
}

// One function each, as the vendor's library has them; `object` is the SimulatedHailo.
struct HailoFunctions {
  using Status = hailo::Status;
  static SimulatedHailo& of(void* object) { return *static_cast<SimulatedHailo*>(object); }

  static Status version(void*, hailo::Version* out) {
    *out = {4, 23, 0};
    return hailo::success;
  }
  static Status scan(void* object, void* parameters, hailo::DeviceId* ids, std::size_t* size) {
    const SimulatedHailo& self = of(object);
    if (parameters != nullptr || ids == nullptr || size == nullptr) return hailo::invalid_argument;
    const std::size_t room = *size;
    *size = self.chips_.size();
    if (room < *size) return hailo::insufficient_buffer;
    for (std::size_t i = 0; i < *size; ++i) {
      ids[i] = {};
      self.chips_[i].id.copy(ids[i].id, sizeof ids[i].id - 1);
    }
    return hailo::success;
  }
  static Status create(void* object, const hailo::DeviceId* id, hailo::Device* out) {
    SimulatedHailo& self = of(object);
    const Duration t = self.clock_();
    const std::lock_guard lock(self.mutex_);
    if (self.fault_.kind == SimulatedHailoFault::Kind::lost && self.within_fault(t)) return hailo::driver_not_installed;
    for (std::size_t i = 0; i < self.chips_.size(); ++i)
      if (self.chips_[i].id == id->id) {
        self.handles_.push_back({i, t, false});
        *out = reinterpret_cast<hailo::Device>(&self.handles_.back());
        return hailo::success;
      }
    return hailo::not_found;
  }
  static Status release(void* object, hailo::Device device) {
    SimulatedHailo& self = of(object);
    const std::lock_guard lock(self.mutex_);
    for (auto& handle : self.handles_)
      if (reinterpret_cast<hailo::Device>(&handle) == device && !handle.released) {
        handle.released = true;
        return hailo::success;
      }
    return hailo::invalid_argument;
  }
  static Status identify(void* object, hailo::Device device, hailo::Identity* out) {
    const auto call = of(object).begin(device);
    if (call.status != hailo::success) return call.status;
    *out = {};
    std::memcpy(out->board_name, "Hailo-8", 8);
    out->board_name_length = 8;
    out->firmware_major = 4, out->firmware_minor = 23;
    // The length counts the NUL, as the firmware's does.
    out->product_name_length =
        static_cast<std::uint8_t>(call.chip->product.copy(out->product_name, sizeof out->product_name));
    return hailo::success;
  }
  static Status temperature(void* object, hailo::Device device, hailo::Temperature* out) {
    const auto call = of(object).begin(device);
    if (call.status != hailo::success) return call.status;
    const double celsius = call.chip->start_celsius + call.chip->celsius_per_w * call.chip->power.watts(call.t).value();
    *out = {static_cast<float>(celsius), static_cast<float>(celsius + call.chip->sensor_1_above), 16};
    if (call.blank) *out = {};
    return hailo::success;
  }
  static Status power(void* object, hailo::Device device, int supply, int kind, float* out) {
    SimulatedHailo& self = of(object);
    const auto call = self.begin(device);
    if (call.status != hailo::success) return call.status;
    if (kind != hailo::measure_power) return hailo::invalid_argument;
    double part = 1;
    if (!call.chip->measures_power) {  // a module: its one sensor belongs to the protection
      if (supply != hailo::supply_automatic && supply != hailo::supply_overcurrent_protection)
        return hailo::unsupported_opcode;
      const std::lock_guard lock(self.mutex_);
      ++self.protection_off_;
    } else {
      part = supply == hailo::supply_core        ? 0.8
             : supply == hailo::supply_mipi      ? 0.05
             : supply == hailo::supply_analogue  ? 0.15
             : supply == hailo::supply_automatic ? 1
                                                 : 0;
    }
    *out = static_cast<float>(part * call.chip->power.watts(call.t).value() * (call.chip->microwatts ? 1e6 : 1));
    if (call.blank) *out = std::numeric_limits<float>::quiet_NaN();
    return hailo::success;
  }
};

LibraryTable SimulatedHailo::table() {
  using F = HailoFunctions;
  LibraryTable table{shared_from_this()};
  table.add("hailo_get_library_version", F::version);
  table.add("hailo_scan_devices", F::scan);
  table.add("hailo_create_device_by_id", F::create);
  table.add("hailo_release_device", F::release);
  table.add("hailo_identify", F::identify);
  table.add("hailo_get_chip_temperature", F::temperature);
  table.add("hailo_power_measurement", F::power);
  return table;
}

}  // namespace prony
