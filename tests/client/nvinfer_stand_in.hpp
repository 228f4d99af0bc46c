// The part of TensorRT's documented C++ interface that prony/tensorrt.hpp uses, with a context that reports layers as
// TensorRT does: after all of them ran. Where the machine has TensorRT this takes its header's place.
#pragma once
#define NV_INFER_H

#include <time.h>

#include <string>
#include <utility>
#include <vector>

namespace nvinfer1 {

class IProfiler {
 public:
  virtual void reportLayerTime(char const* layerName, float ms) noexcept = 0;
  virtual ~IProfiler() noexcept {}
};

class IExecutionContext {
 public:
  void setProfiler(IProfiler* profiler) noexcept { profiler_ = profiler; }
  IProfiler* getProfiler() const noexcept { return profiler_; }

  // Works for so long, and then says what its layers took: not a moment earlier.
  bool enqueueV3(const std::vector<std::pair<std::string, float>>& layers, long works_ns) noexcept {
    const timespec pause{0, works_ns};
    ::nanosleep(&pause, nullptr);
    if (profiler_ != nullptr)
      for (const auto& [name, ms] : layers) profiler_->reportLayerTime(name.c_str(), ms);
    return true;
  }

 private:
  IProfiler* profiler_ = nullptr;
};

}  // namespace nvinfer1
