// NvmlGpu: one GPU as NVML shows it: who it is (by UUID: indices move when a GPU is lost or hidden), its handle, and
// the way back after it or its driver has gone. Shared by the sensors that read it in several lanes.
// Thread promise: any thread. Units: as NvmlLibrary. While the GPU is away call() gives the status that it left with,
// and looks for it again after 1 s, later more rarely, up to a minute. Source: NVML API Reference Guide.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "model/manifest.hpp"
#include "sensors/nvml_library.hpp"

namespace prony {

struct NvmlGpuFacts {
  std::string uuid;           // "GPU-8f1c2d3e-…"
  std::string label;          // "GPU-8f1c2d3e": as much of it as tells this machine's GPUs apart; channels are named so
  std::string domain;         // "gpu-0": by NVML's index, in the order of the PCI bus
  std::string name;           // "NVIDIA H100 80GB HBM3"
  std::string bus_id;         // "00000000:18:00.0"; may be empty
  unsigned architecture = 0;  // 0: not told; arch_unknown: newer than the driver's list
  bool superchip = false;     // processor and GPU are one module
  std::vector<std::string> instances;  // UUIDs of MIG devices
  bool mig = false;
};

class NvmlGpu {
 public:
  NvmlGpu(Machine& machine, std::shared_ptr<NvmlLibrary> library, NvmlGpuFacts facts);

  [[nodiscard]] const NvmlGpuFacts& facts() const noexcept { return facts_; }
  [[nodiscard]] const NvmlLibrary& library() const noexcept { return *library_; }

  // A query of this GPU, `function` being one whose first argument is the device.
  template <class... Parameters, class... Arguments>
  [[nodiscard]] nvml::Status call(NvmlLibrary::Function<nvml::Device, Parameters...> NvmlLibrary::* function,
                                  Arguments... arguments) {
    if (away_.load(std::memory_order_acquire) != nvml::success || handle_of_ != library_->generation())
      if (const auto status = come_back(); status != nvml::success) return status;
    const auto status = library_->call(function, handle_.load(std::memory_order_acquire), arguments...);
    return means_away(status) ? leave(status) : status;
  }
  // The same of its n-th MIG device.
  [[nodiscard]] nvml::Status instance_memory(std::size_t instance, nvml::Memory* out);

  // Status with which it left; success: it is there.
  [[nodiscard]] nvml::Status away() const noexcept { return away_.load(std::memory_order_acquire); }
  // Why it left, the first time that it did; once. Off the tick, by one thread, as is what follows.
  [[nodiscard]] std::optional<Unavailable> complaint();
  // What happened since this was last asked: "sensor-lost" again, "sensor-back".
  [[nodiscard]] std::vector<Event> changes();

 private:
  [[nodiscard]] static bool means_away(nvml::Status status) noexcept;
  nvml::Status leave(nvml::Status status) noexcept;
  [[nodiscard]] nvml::Status come_back() noexcept;

  Machine& machine_;
  const std::shared_ptr<NvmlLibrary> library_;
  const NvmlGpuFacts facts_;
  std::atomic<nvml::Device> handle_{nullptr};
  std::atomic<std::uint64_t> handle_of_{0};  // the library's generation
  std::atomic<nvml::Status> away_{nvml::success};
  std::mutex returning_;  // guards what follows
  Instant next_try_;
  unsigned tries_ = 0;
  // For changes(): what it was told last, and when it truly changed.
  std::atomic<std::int64_t> left_ns_{0}, back_ns_{0};
  std::atomic<nvml::Status> left_with_{nvml::success};
  std::int64_t told_left_ns_ = 0, told_back_ns_ = 0;
  bool complained_ = false;
};

// Every GPU that the driver shows, in NVML's order. `missing`: those that do not answer, with the reason.
[[nodiscard]] std::vector<std::shared_ptr<NvmlGpu>> find_nvml_gpus(Machine& machine,
                                                                   const std::shared_ptr<NvmlLibrary>& library,
                                                                   std::vector<Unavailable>& missing);

}  // namespace prony
