// Layers of a TensorRT engine as spans: attach it to an execution context, and each inference is a span with its layers
// in it. Header only, C++17; links libprony. NvInfer.h is included where the compiler finds it; include it (or what
// stands in for it) before this header otherwise.
//
//   prony::TensorRtLayers layers(*context);               // as long as the context is used
//   {
//     auto inference = layers.inference("frame 1");
//     context->enqueueV3(stream);
//     cudaStreamSynchronize(stream);                      // before the scope ends: the end is stamped there
//   }
//
// TensorRT reports its layers after they ran, so when the calls arrive says nothing: the timeline is rebuilt from the
// durations in the order of execution, one after another from the begin of the inference. What is left of it at the end
// is in no layer. Where the layers add up to more than the inference took, no layer is written, and the span has the
// attribute "layers" that says so. A profiler that was set before is set again at the end. Profiling costs time:
// compare with inferences without it. Thread promise: one thread, that of the context. Never throws, never fails an
// inference. Source: NVIDIA TensorRT C++ API, nvinfer1::IProfiler and nvinfer1::IExecutionContext (TensorRT 8 to 10).
#pragma once

#if __has_include(<NvInfer.h>)
#include <NvInfer.h>
#endif
#include <prony/prony.h>

#include <cmath>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace prony {

class TensorRtLayers final : public nvinfer1::IProfiler {
 public:
  class Inference {
   public:
    Inference(TensorRtLayers& layers, const char* name) noexcept
        : layers_(&layers), name_(name), begin_ns_(::prony_now_ns()), exceptions_(std::uncaught_exceptions()) {
      layers_->reported_.clear();
      layers_->lost_ = 0;
    }
    Inference(const Inference&) = delete;
    Inference& operator=(const Inference&) = delete;
    ~Inference() { layers_->write(name_, begin_ns_, ::prony_now_ns(), std::uncaught_exceptions() > exceptions_); }

   private:
    TensorRtLayers* layers_;
    const char* name_;  // must outlive the inference
    std::int64_t begin_ns_;
    int exceptions_;
  };

  explicit TensorRtLayers(nvinfer1::IExecutionContext& context) noexcept
      : context_(context), before_(context.getProfiler()) {
    context_.setProfiler(this);
  }
  TensorRtLayers(const TensorRtLayers&) = delete;
  TensorRtLayers& operator=(const TensorRtLayers&) = delete;
  ~TensorRtLayers() override { context_.setProfiler(before_); }

  [[nodiscard]] Inference inference(const char* name = "inference") noexcept { return Inference(*this, name); }

  // Called by TensorRT, once a layer and inference, in the order of execution.
  void reportLayerTime(const char* layer, float ms) noexcept override {
    if (::prony_recording() == 0) return;
    try {
      reported_.emplace_back(layer == nullptr ? "" : layer, ms);
    } catch (...) {
      ++lost_;  // no memory: told with the span
    }
  }

 private:
  void write(const char* name, std::int64_t begin_ns, std::int64_t end_ns, bool failed) noexcept {
    if (::prony_recording() == 0) return;
    std::int64_t sum_ns = 0;
    bool sane = true;
    for (const auto& [layer, ms] : reported_) {
      sane = sane && std::isfinite(ms) && ms >= 0 && ms < 1e9F;
      if (sane) sum_ns += nanoseconds(ms);
    }
    const prony_span whole = ::prony_span_complete(PRONY_BATCH, name, 0, begin_ns, end_ns);
    ::prony_span_attribute(whole, "timeline", "rebuilt from durations in the order of execution");
    ::prony_span_count(whole, "layers", static_cast<std::int64_t>(reported_.size()));
    ::prony_span_count(whole, "layers_ns", sum_ns);
    if (lost_ > 0) ::prony_span_count(whole, "layers_lost", lost_);
    if (failed) ::prony_span_attribute(whole, "finish", "error");
    if (!sane) {
      ::prony_span_attribute(whole, "layers", "not told: a duration that cannot be");
    } else if (sum_ns > end_ns - begin_ns) {
      ::prony_span_attribute(whole, "layers", "not told: they add up to more than the inference took");
    } else {
      std::int64_t at = begin_ns;
      for (const auto& [layer, ms] : reported_) {
        const std::int64_t until = at + nanoseconds(ms);
        ::prony_span_complete(PRONY_LAYER, layer.c_str(), whole, at, until);
        at = until;
      }
    }
    reported_.clear();
  }

  static std::int64_t nanoseconds(float ms) noexcept {
    return static_cast<std::int64_t>(std::llround(static_cast<double>(ms) * 1e6));
  }

  nvinfer1::IExecutionContext& context_;
  nvinfer1::IProfiler* before_;
  std::vector<std::pair<std::string, float>> reported_;
  std::int64_t lost_ = 0;
};

}  // namespace prony
