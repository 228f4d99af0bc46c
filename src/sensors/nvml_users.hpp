// NvmlUsers: who uses one NVIDIA GPU. The driver keeps samples of each process's share of the SMs' time (6 to 1 a
// second); their sum over time is how long each used the GPU. Who holds a context but runs nothing is in a list apart,
// which costs milliseconds. Thread promise: as DeviceUsers. Source: NVML API Reference Guide,
// nvmlDeviceGetProcessUtilization.
#pragma once

#include <vector>

#include "sensors/device_users.hpp"
#include "sensors/nvml_gpu.hpp"

namespace prony {

class NvmlUsers {
 public:
  NvmlUsers(Machine& machine, std::shared_ptr<NvmlGpu> gpu);
  [[nodiscard]] const NvmlGpuFacts& facts() const noexcept { return gpu_->facts(); }
  [[nodiscard]] std::string why_not();
  [[nodiscard]] bool look(std::vector<DeviceUse>& out);

 private:
  [[nodiscard]] nvml::Status ask(unsigned& count);
  void add_samples(std::span<nvml::ProcessSample> samples, Duration since, std::vector<DeviceUse>& out);
  void add_holders(Instant now, std::vector<DeviceUse>& out);

  Machine& machine_;
  std::shared_ptr<NvmlGpu> gpu_;
  std::vector<nvml::ProcessSample> samples_;
  std::vector<nvml::ProcessInfo> holders_;
  unsigned long long last_us_ = 0;  // newest sample that was counted, on the driver's clock
  Instant last_look_, next_list_;
  bool looked_ = false;
};

}  // namespace prony
