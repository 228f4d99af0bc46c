#include "machine/nvml_simulated.hpp"

#include <algorithm>
#include <cmath>

namespace prony {

double SimulatedGpu::load(Duration t) const {
  const double span = limit_w - idle_w;
  return span > 0 ? std::clamp((power.watts(t).value() - idle_w) / span, 0.0, 1.0) : 0;
}

SimulatedNvml::SimulatedNvml(std::vector<SimulatedGpu> gpus, Clock clock)
    : gpus_(std::move(gpus)), clock_(std::move(clock)) {}

bool SimulatedNvml::within_fault(Duration t) const {
  return t >= fault_.at && (fault_.length.ns == 0 || t < fault_.at + fault_.length);
}

// Who initialised the library before the driver went holds nothing any more.
nvml::Status SimulatedNvml::library_status(Duration t) const {
  if (fault_.kind == SimulatedNvmlFault::Kind::driver) {
    if (within_fault(t)) return nvml::driver_not_loaded;
    if (t >= fault_.at && initialised_at_ < fault_.at) return nvml::uninitialized;
  }
  return initialised_ > 0 ? nvml::success : nvml::uninitialized;
}

nvml::Device SimulatedNvml::handle(std::size_t gpu, std::optional<std::size_t> instance) {
  for (Handle& known : handles_)
    if (known.gpu == gpu && known.instance == instance && known.generation == generation_)
      return reinterpret_cast<nvml::Device>(&known);
  handles_.push_back({gpu, instance, generation_});
  return reinterpret_cast<nvml::Device>(&handles_.back());
}

SimulatedNvml::Call SimulatedNvml::begin(std::string_view function, nvml::Device device) {
  if (before_) before_(function);
  Call call;
  call.t = clock_();
  const std::lock_guard lock(mutex_);
  call.status = library_status(call.t);
  if (call.status != nvml::success) return call;
  const auto* handle = reinterpret_cast<const Handle*>(device);
  const auto known = [handle](const Handle& one) { return &one == handle; };
  if (std::none_of(handles_.begin(), handles_.end(), known) || handle->generation != generation_) {
    call.status = nvml::invalid_argument;
    return call;
  }
  call.index = handle->gpu;
  call.instance = handle->instance;
  call.gpu = &gpus_[handle->gpu];
  const bool concerned = !fault_.gpu || *fault_.gpu == call.index;
  if (!concerned || !within_fault(call.t)) return call;
  if (fault_.kind == SimulatedNvmlFault::Kind::lost) call.status = nvml::gpu_is_lost;
  if (fault_.kind == SimulatedNvmlFault::Kind::error) call.status = nvml::unknown;
  if (fault_.kind == SimulatedNvmlFault::Kind::stale) call.t = fault_.at;
  return call;
}

bool SimulatedNvml::blank(const Call& call, std::string_view function) {
  return std::find(call.gpu->blank.begin(), call.gpu->blank.end(), function) != call.gpu->blank.end();
}

std::uint64_t SimulatedNvml::energy_mj(const Call& call) const {
  const SimulatedGpu& gpu = *call.gpu;
  CounterView view;
  view.updates = gpu.energy_updates;
  view.quantum_j = 1e-3;
  view.start_quanta = gpu.energy_start_mj;
  // A driver that is loaded again, a GPU that comes back: it counts from 0.
  using Kind = SimulatedNvmlFault::Kind;
  const bool restarts = fault_.kind == Kind::lost || fault_.kind == Kind::driver || fault_.kind == Kind::reset;
  if (restarts && (!fault_.gpu || *fault_.gpu == call.index) && call.t >= fault_.at + fault_.length) {
    const Duration again = fault_.at + fault_.length;
    if (gpu.energy_updates.last(call.t) < again) return 0;
    view.start_quanta = 0;
    return view.raw(gpu.power, call.t) - view.raw(gpu.power, again);
  }
  return view.raw(gpu.power, call.t);
}

unsigned long long SimulatedNvml::violation_ns(const Call& call, int policy) {
  if (policy != nvml::policy_power) return 0;
  // Looked at as often as a driver would; a curve knows no inverse.
  constexpr std::int64_t step_ns = 100'000'000;
  unsigned long long held_ns = 0;
  for (std::int64_t at = step_ns; at <= call.t.ns; at += step_ns)
    if (call.gpu->power.watts({at}).value() >= call.gpu->limit_w) held_ns += step_ns;
  return held_ns;
}

void SimulatedNvml::field(const Call& call, nvml::FieldValue& value) const {
  const SimulatedGpu& gpu = *call.gpu;
  value.status = nvml::success;
  value.type = nvml::value_unsigned;
  value.time_us = wall_offset_us_ + call.t.ns / 1000;
  value.latency_us = 1;
  const auto milliwatts = [&](const std::optional<GaugeView>& view) {
    const PowerCurve* curve = value.scope == nvml::scope_gpu      ? &gpu.power
                              : value.scope == nvml::scope_module ? (gpu.module ? &*gpu.module : nullptr)
                                                                  : nullptr;
    if (!view || curve == nullptr || call.instance) {
      value.status = nvml::not_supported;
    } else {
      value.value.ui = static_cast<unsigned>(view->raw(*curve, call.t));
      if (blank(call, "power")) value.value.ui = nvml::blank_unsigned;
    }
  };
  switch (value.field) {
    case nvml::field_power_average: milliwatts(gpu.average); break;
    case nvml::field_power_instant: milliwatts(gpu.instant); break;
    case nvml::field_memory_temperature:
      value.value.ui =
          blank(call, "temperature") ? nvml::blank_unsigned : 40 + static_cast<unsigned>(30 * gpu.load(call.t));
      break;
    case nvml::field_violation_power:
    case nvml::field_violation_thermal:
      if (!gpu.driver_fields) {
        value.status = nvml::not_supported;
        break;
      }
      value.type = nvml::value_unsigned_long_long;
      value.value.ull =
          violation_ns(call, value.field == nvml::field_violation_power ? nvml::policy_power : nvml::policy_thermal);
      break;
    case nvml::field_pcie_tx_bytes:
    case nvml::field_pcie_rx_bytes:
      if (!gpu.driver_fields) {
        value.status = nvml::not_supported;
        break;
      }
      value.type = nvml::value_unsigned_long_long;
      value.value.ull = static_cast<unsigned long long>(std::max<std::int64_t>(0, call.t.ns) / 10);  // 100 MB a second
      if (value.field == nvml::field_pcie_rx_bytes) value.value.ull *= 4;
      break;
    default: value.status = nvml::not_supported;
  }
}

}  // namespace prony
