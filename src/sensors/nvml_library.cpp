#include "sensors/nvml_library.hpp"

#include <array>
#include <mutex>

#include "sensors/cpu_family.hpp"

namespace prony {

namespace {

constexpr std::string_view nvml_file = "libnvidia-ml.so.1";

Error init_error(nvml::Status status) {
  const auto error = [&](ErrorCode code, std::string fix) {
    return Error{code, nvml_words(status), std::string(nvml_file), std::move(fix)};
  };
  switch (status) {
    case nvml::driver_not_loaded:
      return error(ErrorCode::unavailable, "sudo modprobe nvidia   (or ignore this if there is no NVIDIA GPU)");
    case nvml::version_mismatch:
      return error(ErrorCode::unavailable,
                   "the driver was updated while an older one is loaded: restart, or reload the kernel module");
    case nvml::no_permission:
    case nvml::operating_system:
      return Error{ErrorCode::denied, "permission denied: " + nvml_words(status), std::string(nvml_file),
                   "allow /dev/nvidiactl and /dev/nvidia* (group video, or the container's --gpus option)"};
    case nvml::gpu_not_found: return error(ErrorCode::absent, {});
    default: return error(ErrorCode::unavailable, "nvidia-smi says more, if it works");
  }
}

}  // namespace

std::string nvml_words(nvml::Status status) {
  using Words = std::pair<nvml::Status, std::string_view>;
  static constexpr std::array<Words, 19> known{{
      {nvml::uninitialized, "the library has lost its driver"},
      {nvml::invalid_argument, "the driver does not know this GPU any more"},
      {nvml::not_supported, "this GPU or driver does not give it"},
      {nvml::no_permission, "the driver refuses it to this user"},
      {nvml::not_found, "there is none"},
      {nvml::insufficient_size, "it gives more than there is room for"},
      {nvml::driver_not_loaded, "the NVIDIA driver is not loaded"},
      {nvml::timeout, "the driver did not answer in time"},
      {nvml::irq_issue, "the GPU's interrupts do not arrive"},
      {nvml::function_not_found, "this driver's library is too old to have it"},
      {nvml::gpu_is_lost, "the GPU is lost: it fell off the bus"},
      {nvml::reset_required, "the GPU needs a reset before it can be used again"},
      {nvml::operating_system, "the operating system or a control group keeps the GPU from us"},
      {nvml::version_mismatch, "the library and the loaded driver are of different versions"},
      {nvml::in_use, "the GPU is held by somebody else"},
      {nvml::out_of_memory, "the driver has no memory left"},
      {nvml::no_data, "the driver has no data of it"},
      {nvml::not_ready, "the driver is not ready"},
      {nvml::gpu_not_found, "not on this machine: the driver sees no GPU"},
  }};
  for (const auto& [code, words] : known)
    if (code == status) return std::string(words);
  return "the library answers with error " + std::to_string(status);
}

NvmlLibrary::NvmlLibrary(std::unique_ptr<Library> library) : library_(std::move(library)), file_(library_->name()) {
  const auto bind = [this](auto& function, const char* exported) {
    function = std::remove_reference_t<decltype(function)>(library_->symbol(exported));
  };
  bind(init, "nvmlInit_v2");
  bind(shutdown, "nvmlShutdown");
  bind(driver_version, "nvmlSystemGetDriverVersion");
  bind(count, "nvmlDeviceGetCount_v2");
  bind(by_index, "nvmlDeviceGetHandleByIndex_v2");
  bind(by_uuid, "nvmlDeviceGetHandleByUUID");
  bind(uuid, "nvmlDeviceGetUUID");
  bind(name, "nvmlDeviceGetName");
  bind(pci, "nvmlDeviceGetPciInfo_v3");
  bind(architecture, "nvmlDeviceGetArchitecture");
  bind(energy, "nvmlDeviceGetTotalEnergyConsumption");
  bind(power, "nvmlDeviceGetPowerUsage");
  bind(fields, "nvmlDeviceGetFieldValues");
  bind(enforced_limit, "nvmlDeviceGetEnforcedPowerLimit");
  bind(limits, "nvmlDeviceGetPowerManagementLimitConstraints");
  bind(utilization, "nvmlDeviceGetUtilizationRates");
  bind(memory, "nvmlDeviceGetMemoryInfo");
  bind(clock, "nvmlDeviceGetClockInfo");
  bind(temperature, "nvmlDeviceGetTemperature");
  bind(fan, "nvmlDeviceGetFanSpeed");
  bind(reasons, "nvmlDeviceGetCurrentClocksEventReasons");
  if (!reasons) bind(reasons, "nvmlDeviceGetCurrentClocksThrottleReasons");  // before driver 535
  bind(violation, "nvmlDeviceGetViolationStatus");
  bind(link_generation, "nvmlDeviceGetCurrPcieLinkGeneration");
  bind(link_width, "nvmlDeviceGetCurrPcieLinkWidth");
  bind(pcie_throughput, "nvmlDeviceGetPcieThroughput");
  bind(replays, "nvmlDeviceGetPcieReplayCounter");
  bind(compute_processes, "nvmlDeviceGetComputeRunningProcesses_v3");
  if (!compute_processes) bind(compute_processes, "nvmlDeviceGetComputeRunningProcesses_v2");
  bind(graphics_processes, "nvmlDeviceGetGraphicsRunningProcesses_v3");
  if (!graphics_processes) bind(graphics_processes, "nvmlDeviceGetGraphicsRunningProcesses_v2");
  bind(process_use, "nvmlDeviceGetProcessUtilization");
  bind(mig_mode, "nvmlDeviceGetMigMode");
  bind(mig_count, "nvmlDeviceGetMaxMigDeviceCount");
  bind(mig_by_index, "nvmlDeviceGetMigDeviceHandleByIndex");
  bind(c2c, "nvmlDeviceGetC2cModeInfoV");
}

NvmlLibrary::~NvmlLibrary() {
  if (initialised_ && shutdown) (void)shutdown();
}

Result<std::shared_ptr<NvmlLibrary>> NvmlLibrary::open(Machine& machine) {
  auto library = machine.open_library(nvml::library_names);
  if (!library) {
    Error error = library.error();
    if (error.code == ErrorCode::absent) {
      error.what = std::string(nvml_file) + " is not there";
      error.where.clear();
      const bool board = !processor_id(machine).board.empty();
      error.fix = board ? "on a board this is usual: its own GPU and rails are read by other sensors"
                        : "install the NVIDIA driver, or ignore this if there is no NVIDIA GPU";
    }
    return Unexpected<Error>(error);
  }
  std::shared_ptr<NvmlLibrary> opened(new NvmlLibrary(std::move(*library)));
  if (!opened->init || !opened->count || !opened->by_index || !opened->uuid)
    return fail(ErrorCode::unavailable, "is not the library that it is named after, or older than driver 375",
                opened->file_, "install a newer NVIDIA driver");
  if (const auto status = opened->init(); status != nvml::success) return Unexpected<Error>(init_error(status));
  opened->initialised_ = true;
  return opened;
}

nvml::Status NvmlLibrary::restart(std::uint64_t seen) {
  const std::unique_lock lock(calls_);
  if (generation_.load(std::memory_order_relaxed) != seen) return nvml::success;
  if (initialised_ && shutdown) (void)shutdown();
  const auto status = init();
  initialised_ = status == nvml::success;
  if (initialised_) generation_.fetch_add(1, std::memory_order_release);
  return status;
}

}  // namespace prony
