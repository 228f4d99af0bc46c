// The functions of the simulated library (machine/nvml_simulated.hpp), as the vendor's has them.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "machine/nvml_simulated.hpp"

namespace prony {

namespace {

constexpr std::int64_t sample_period_us = 200'000;  // of what processes use
constexpr std::int64_t most_samples = 50;           // that the driver keeps of each

nvml::Status copy_text(const std::string& text, char* buffer, unsigned size) {
  if (buffer == nullptr || size <= text.size()) return nvml::insufficient_size;
  std::memcpy(buffer, text.c_str(), text.size() + 1);
  return nvml::success;
}

}  // namespace

// One function each, as the vendor's library has them; `object` is the SimulatedNvml.
struct NvmlFunctions {
  using Nvml = SimulatedNvml;
  using Device = nvml::Device;
  using Status = nvml::Status;
  static Nvml& of(void* object) { return *static_cast<Nvml*>(object); }

  static Status init(void* object) {
    Nvml& self = of(object);
    if (self.before_) self.before_("init");
    const Duration t = self.clock_();
    const std::lock_guard lock(self.mutex_);
    if (self.fault_.kind == SimulatedNvmlFault::Kind::driver && self.within_fault(t)) return nvml::driver_not_loaded;
    if (self.initialised_++ == 0) {
      self.initialised_at_ = t;
      ++self.generation_;
    }
    return nvml::success;
  }
  static Status shutdown(void* object) {
    const std::lock_guard lock(of(object).mutex_);
    if (of(object).initialised_ == 0) return nvml::uninitialized;
    --of(object).initialised_;
    return nvml::success;
  }
  static Status driver_version(void* object, char* text, unsigned size) {
    return copy_text(of(object).driver_, text, size);
  }
  static Status count(void* object, unsigned* out) {
    Nvml& self = of(object);
    const Duration t = self.clock_();
    const std::lock_guard lock(self.mutex_);
    *out = static_cast<unsigned>(self.gpus_.size());
    return self.library_status(t);
  }
  static Status by_index(void* object, unsigned index, Device* out) {
    Nvml& self = of(object);
    const Duration t = self.clock_();
    const std::lock_guard lock(self.mutex_);
    if (const Status status = self.library_status(t); status != nvml::success) return status;
    if (index >= self.gpus_.size()) return nvml::invalid_argument;
    *out = self.handle(index, std::nullopt);
    return nvml::success;
  }
  static Status by_uuid(void* object, const char* uuid, Device* out) {
    Nvml& self = of(object);
    const Duration t = self.clock_();
    const std::lock_guard lock(self.mutex_);
    if (const Status status = self.library_status(t); status != nvml::success) return status;
    for (std::size_t i = 0; i < self.gpus_.size(); ++i)
      if (self.gpus_[i].uuid == uuid) {
        *out = self.handle(i, std::nullopt);
        return nvml::success;
      }
    return nvml::not_found;
  }
  static Status uuid(void* object, Device device, char* text, unsigned size) {
    const auto call = of(object).begin("uuid", device);
    if (call.status != nvml::success) return call.status;
    return copy_text(call.instance ? call.gpu->instances[*call.instance] : call.gpu->uuid, text, size);
  }
  static Status name(void* object, Device device, char* text, unsigned size) {
    const auto call = of(object).begin("name", device);
    return call.status == nvml::success ? copy_text(call.gpu->name, text, size) : call.status;
  }
  static Status pci(void* object, Device device, nvml::PciInfo* out) {
    const auto call = of(object).begin("pci", device);
    return call.status == nvml::success ? copy_text(call.gpu->bus_id, out->bus_id, sizeof out->bus_id) : call.status;
  }
  // A number that is `value()` unless the function is among the blank ones or works on no MIG instance.
  template <class T, class F>
  static Status number(void* object, const char* function, Device device, T* out, F value) {
    const auto call = of(object).begin(function, device);
    if (call.status != nvml::success) return call.status;
    if (call.instance) return nvml::not_supported;
    *out = Nvml::blank(call, function) ? static_cast<T>(nvml::blank_long) : static_cast<T>(value(call));
    return nvml::success;
  }
  static Status architecture(void* object, Device device, unsigned* out) {
    return number(object, "architecture", device, out, [](const auto& call) { return call.gpu->architecture; });
  }
  static Status energy(void* object, Device device, unsigned long long* out) {
    const auto call = of(object).begin("energy", device);
    if (call.status != nvml::success) return call.status;
    if (!call.gpu->counts_energy || call.instance) return nvml::not_supported;
    *out = Nvml::blank(call, "energy") ? nvml::blank_long : of(object).energy_mj(call);
    return nvml::success;
  }
  // The mean of the last second from Ampere on (except GA100), what is drawn now before.
  static Status power(void* object, Device device, unsigned* out) {
    const auto call = of(object).begin("power", device);
    if (call.status != nvml::success) return call.status;
    const auto& view = call.gpu->average ? call.gpu->average : call.gpu->instant;
    if (!view || call.instance) return nvml::not_supported;
    *out =
        Nvml::blank(call, "power") ? nvml::blank_unsigned : static_cast<unsigned>(view->raw(call.gpu->power, call.t));
    return nvml::success;
  }
  static Status fields(void* object, Device device, int size, nvml::FieldValue* values) {
    const auto call = of(object).begin("fields", device);
    if (call.status != nvml::success) return call.status;
    for (int i = 0; i < size; ++i) of(object).field(call, values[i]);
    return nvml::success;
  }
  static Status utilization(void* object, Device device, nvml::Utilization* out) {
    const auto call = of(object).begin("utilization", device);
    if (call.status != nvml::success) return call.status;
    if (call.instance || !call.gpu->instances.empty()) return nvml::not_supported;
    const double load = 100 * call.gpu->load(call.t);
    *out = {static_cast<unsigned>(load), static_cast<unsigned>(load / 2)};
    if (Nvml::blank(call, "utilization")) *out = {nvml::blank_unsigned, nvml::blank_unsigned};
    return nvml::success;
  }
  static Status memory(void* object, Device device, nvml::Memory* out) {
    const auto call = of(object).begin("memory", device);
    if (call.status != nvml::success) return call.status;
    const auto parts = std::max<std::size_t>(1, call.instance ? call.gpu->instances.size() : 1);
    const auto total = call.gpu->memory_bytes / parts, used = call.gpu->memory_used_bytes / parts;
    *out = {total, total - used, used};
    if (Nvml::blank(call, "memory")) *out = {nvml::blank_long, nvml::blank_long, nvml::blank_long};
    return nvml::success;
  }
  static Status clock(void* object, Device device, int type, unsigned* out) {
    return number(object, "clock", device, out, [type](const auto& call) {
      return type == nvml::clock_memory ? 2619.0 : 345 + 1635 * call.gpu->load(call.t);
    });
  }
  static Status temperature(void* object, Device device, int, unsigned* out) {
    return number(object, "temperature", device, out,
                  [](const auto& call) { return 35 + 40 * call.gpu->load(call.t); });
  }
  static Status fan(void* object, Device device, unsigned* out) {
    return number(object, "fan", device, out, [](const auto& call) { return 30 + 60 * call.gpu->load(call.t); });
  }
  // What an operator sets; the largest that may be set stays.
  static Status limit(void* object, Device device, unsigned* out) {
    return number(object, "limit", device, out, [](const auto& call) {
      const auto& lowered = call.gpu->lowered_limit;
      return 1e3 * (lowered && call.t >= lowered->first ? lowered->second : call.gpu->limit_w);
    });
  }
  static Status limits(void* object, Device device, unsigned* least, unsigned* most) {
    const Status status =
        number(object, "limit", device, least, [](const auto& call) { return call.gpu->limit_w * 300; });
    return status != nvml::success
               ? status
               : number(object, "limit", device, most, [](const auto& call) { return call.gpu->limit_w * 1e3; });
  }
  static Status reasons(void* object, Device device, unsigned long long* out) {
    return number(object, "reasons", device, out, [](const auto& call) {
      if (call.gpu->reasons) return call.gpu->reasons(call.t);
      const double watts = call.gpu->power.watts(call.t).value();
      return watts >= call.gpu->limit_w ? nvml::reason_power_cap : watts <= call.gpu->idle_w ? nvml::reason_idle : 0ULL;
    });
  }
  static Status link_generation(void* object, Device device, unsigned* out) {
    return number(object, "pcie", device, out, [](const auto& call) { return call.gpu->load(call.t) > 0 ? 5U : 1U; });
  }
  static Status link_width(void* object, Device device, unsigned* out) {
    return number(object, "pcie", device, out, [](const auto&) { return 16U; });
  }
  static Status replays(void* object, Device device, unsigned* out) {
    return number(object, "pcie", device, out, [](const auto&) { return 0U; });
  }
  static Status violation(void* object, Device device, int policy, nvml::ViolationTime* out) {
    const auto call = of(object).begin("violation", device);
    if (call.status != nvml::success) return call.status;
    if (call.instance || (policy != nvml::policy_power && policy != nvml::policy_thermal)) return nvml::not_supported;
    *out = {static_cast<unsigned long long>(call.t.ns / 1000),
            Nvml::blank(call, "violation") ? nvml::blank_long : Nvml::violation_ns(call, policy)};
    return nvml::success;
  }
  // A quarter of what goes the other way.
  static Status pcie_throughput(void* object, Device device, int way, unsigned* out) {
    return number(object, "pcie_throughput", device, out,
                  [way](const auto& call) { return (way == nvml::pcie_sent ? 1e6 : 4e6) * call.gpu->load(call.t); });
  }
  static Status processes(void* object, Device device, unsigned* size, nvml::ProcessInfo* out) {
    const auto call = of(object).begin("processes", device);
    if (call.status != nvml::success) return call.status;
    std::vector<nvml::ProcessInfo> found;
    if (call.gpu->processes)
      for (const SimulatedGpuUse& use : call.gpu->processes(call.t))
        if (!call.instance || use.instance == *call.instance)
          found.push_back({static_cast<unsigned>(use.pid), use.memory_bytes, use.instance, use.instance});
    const unsigned room = *size;
    *size = static_cast<unsigned>(found.size());
    if (found.size() > room || (out == nullptr && !found.empty())) return nvml::insufficient_size;
    std::copy(found.begin(), found.end(), out);
    return nvml::success;
  }
  static Status no_processes(void* object, Device device, unsigned* size, nvml::ProcessInfo*) {
    const auto call = of(object).begin("graphics", device);
    *size = 0;
    return call.status;
  }
  // Samples of whoever used the GPU in each period since `last`.
  static Status process_use(void* object, Device device, nvml::ProcessSample* out, unsigned* size,
                            unsigned long long last) {
    const auto call = of(object).begin("process_use", device);
    if (call.status != nvml::success) return call.status;
    if (!call.gpu->process_use || !call.gpu->instances.empty()) return nvml::not_supported;
    const std::int64_t offset = of(object).wall_offset_us_, now_us = call.t.ns / 1000;
    const std::int64_t newest = now_us / sample_period_us;
    const std::int64_t since = last == 0 ? 0 : (static_cast<std::int64_t>(last) - offset) / sample_period_us;
    std::vector<nvml::ProcessSample> samples;
    for (auto k = std::max({since + 1, newest - most_samples, std::int64_t{1}}); call.gpu->processes && k <= newest;
         ++k)
      for (const auto& use : call.gpu->processes(Duration{(k * sample_period_us - sample_period_us / 2) * 1000}))
        if (use.sm > 0)
          samples.push_back({static_cast<unsigned>(use.pid),
                             static_cast<unsigned long long>(offset + k * sample_period_us),
                             static_cast<unsigned>(std::lround(100 * use.sm)), 0, 0, 0});
    const unsigned room = *size;
    *size = static_cast<unsigned>(samples.size());
    if (samples.empty()) return nvml::not_found;
    if (out == nullptr || samples.size() > room) return nvml::insufficient_size;
    std::copy(samples.begin(), samples.end(), out);
    return nvml::success;
  }
  static Status mig_mode(void* object, Device device, unsigned* now, unsigned* pending) {
    const auto call = of(object).begin("mig", device);
    if (call.status != nvml::success) return call.status;
    if (call.gpu->architecture < nvml::arch_ampere) return nvml::not_supported;
    *now = *pending = call.gpu->instances.empty() ? 0 : 1;
    return nvml::success;
  }
  static Status mig_count(void* object, Device device, unsigned* out) {
    return number(object, "mig", device, out, [](const auto& call) { return call.gpu->instances.empty() ? 0 : 7; });
  }
  static Status mig_by_index(void* object, Device device, unsigned index, Device* out) {
    const auto call = of(object).begin("mig", device);
    if (call.status != nvml::success) return call.status;
    if (index >= call.gpu->instances.size()) return nvml::not_found;
    const std::lock_guard lock(of(object).mutex_);
    *out = of(object).handle(call.index, index);
    return nvml::success;
  }
  static Status c2c(void* object, Device device, nvml::C2cMode* out) {
    const auto call = of(object).begin("c2c", device);
    if (call.status != nvml::success) return call.status;
    if (call.gpu->architecture < nvml::arch_hopper) return nvml::not_supported;
    out->enabled = call.gpu->module ? 1 : 0;
    return nvml::success;
  }
};

LibraryTable SimulatedNvml::table() {
  using F = NvmlFunctions;
  LibraryTable table{shared_from_this()};
  table.add("nvmlInit_v2", F::init);
  table.add("nvmlShutdown", F::shutdown);
  table.add("nvmlSystemGetDriverVersion", F::driver_version);
  table.add("nvmlDeviceGetCount_v2", F::count);
  table.add("nvmlDeviceGetHandleByIndex_v2", F::by_index);
  table.add("nvmlDeviceGetHandleByUUID", F::by_uuid);
  table.add("nvmlDeviceGetUUID", F::uuid);
  table.add("nvmlDeviceGetName", F::name);
  table.add("nvmlDeviceGetPciInfo_v3", F::pci);
  table.add("nvmlDeviceGetArchitecture", F::architecture);
  table.add("nvmlDeviceGetTotalEnergyConsumption", F::energy);
  table.add("nvmlDeviceGetPowerUsage", F::power);
  table.add("nvmlDeviceGetFieldValues", F::fields);
  table.add("nvmlDeviceGetUtilizationRates", F::utilization);
  table.add("nvmlDeviceGetMemoryInfo", F::memory);
  table.add("nvmlDeviceGetClockInfo", F::clock);
  table.add("nvmlDeviceGetTemperature", F::temperature);
  table.add("nvmlDeviceGetFanSpeed", F::fan);
  table.add("nvmlDeviceGetEnforcedPowerLimit", F::limit);
  table.add("nvmlDeviceGetPowerManagementLimitConstraints", F::limits);
  table.add("nvmlDeviceGetCurrentClocksEventReasons", F::reasons);
  table.add("nvmlDeviceGetCurrentClocksThrottleReasons", F::reasons);  // its name before driver 535
  table.add("nvmlDeviceGetCurrPcieLinkGeneration", F::link_generation);
  table.add("nvmlDeviceGetCurrPcieLinkWidth", F::link_width);
  table.add("nvmlDeviceGetPcieReplayCounter", F::replays);
  table.add("nvmlDeviceGetViolationStatus", F::violation);
  table.add("nvmlDeviceGetPcieThroughput", F::pcie_throughput);
  table.add("nvmlDeviceGetComputeRunningProcesses_v3", F::processes);
  table.add("nvmlDeviceGetGraphicsRunningProcesses_v3", F::no_processes);
  table.add("nvmlDeviceGetComputeRunningProcesses_v2", F::processes);
  table.add("nvmlDeviceGetGraphicsRunningProcesses_v2", F::no_processes);
  table.add("nvmlDeviceGetProcessUtilization", F::process_use);
  table.add("nvmlDeviceGetMigMode", F::mig_mode);
  table.add("nvmlDeviceGetMaxMigDeviceCount", F::mig_count);
  table.add("nvmlDeviceGetMigDeviceHandleByIndex", F::mig_by_index);
  table.add("nvmlDeviceGetC2cModeInfoV", F::c2c);
  return table;
}

}  // namespace prony
