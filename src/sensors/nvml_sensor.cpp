// The sensor that asks a GPU in one lane.
#include <algorithm>

#include "sensors/nvml_query.hpp"

namespace prony {

NvmlSensor::NvmlSensor(std::shared_ptr<NvmlGpu> gpu, std::vector<NvmlQuery> queries, std::unique_ptr<NvmlState> state,
                       std::string_view lane, Duration pace)
    : gpu_(std::move(gpu)),
      queries_(std::move(queries)),
      state_(std::move(state)),
      lane_(lane),
      pace_(pace),
      faults_(std::make_unique<std::atomic<nvml::Status>[]>(queries_.size())) {
  for (const NvmlQuery& query : queries_)
    for (const Channel& channel : query.channels) {
      channels_.push_back(channel);
      channels_.back().id = {static_cast<std::uint32_t>(channels_.size() - 1)};
    }
  nothing_ = std::make_unique<std::atomic<bool>[]>(channels_.size());
}

void NvmlSensor::read(std::span<Reading> out) noexcept {
  std::size_t at = 0;
  for (std::size_t i = 0; i < queries_.size(); ++i) {
    const auto slice = out.subspan(at, queries_[i].channels.size());
    std::fill(slice.begin(), slice.end(), Reading{});
    const nvml::Status status = queries_[i].read(*gpu_, slice);
    if (status != nvml::success) {
      std::fill(slice.begin(), slice.end(), Reading{});
      // One that has left is told once, for the whole GPU.
      if (gpu_->away() == nvml::success) faults_[i].store(status, std::memory_order_relaxed);
    } else {
      for (std::size_t c = 0; c < slice.size(); ++c)
        if (slice[c].quality == Quality::gap) nothing_[at + c].store(true, std::memory_order_relaxed);
    }
    at += slice.size();
  }
  if (state_) state_->look();
}

std::vector<Event> NvmlSensor::changes() {
  if (!state_) return {};
  auto events = gpu_->changes();
  for (Event& event : state_->changes()) events.push_back(std::move(event));
  return events;
}

std::vector<Unavailable> NvmlSensor::complaints() {
  std::vector<Unavailable> told;
  if (state_)
    if (auto lost = gpu_->complaint()) told.push_back(std::move(*lost));
  std::size_t at = 0;
  for (std::size_t i = 0; i < queries_.size(); ++i) {
    const auto status = faults_[i].exchange(nvml::success, std::memory_order_relaxed);
    const bool own = status != nvml::success && status != nvml::not_ready;
    for (const Channel& channel : queries_[i].channels) {
      const bool nothing = nothing_[at++].exchange(false, std::memory_order_relaxed);
      if (own)
        told.push_back({channel.name, gpu_->facts().domain + ": " + queries_[i].what + ": " + nvml_words(status), {}});
      if (nothing)
        told.push_back({channel.name,
                        gpu_->facts().domain + ": " + queries_[i].what +
                            ": the driver answered with a value that stands for nothing, or cannot be",
                        {}});
    }
  }
  return told;
}

}  // namespace prony
