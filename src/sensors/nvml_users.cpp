#include "sensors/nvml_users.hpp"

#include <algorithm>

namespace prony {

namespace {

constexpr std::size_t first_room = 256, most_room = 16'384;
constexpr std::int64_t list_cost_factor = 1000;  // lists may take 1/1000 of the time: they hold the driver's lock
constexpr Duration list_period = milliseconds(1000);
constexpr std::int64_t percent_us_to_ns = 10;
constexpr unsigned long long far_ahead_us = 3'600'000'000;

DeviceUse& entry(std::vector<DeviceUse>& out, std::int64_t pid) {
  for (DeviceUse& one : out)
    if (one.pid == pid) return one;
  out.push_back({pid, 0, 0, false});
  return out.back();
}

}  // namespace

NvmlUsers::NvmlUsers(Machine& machine, std::shared_ptr<NvmlGpu> gpu)
    : machine_(machine), gpu_(std::move(gpu)), samples_(first_room), holders_(first_room) {}

nvml::Status NvmlUsers::ask(unsigned& count) {
  for (int attempt = 0; attempt < 3; ++attempt) {
    count = static_cast<unsigned>(samples_.size());
    const auto status = gpu_->call(&NvmlLibrary::process_use, samples_.data(), &count, last_us_);
    if (status != nvml::insufficient_size || samples_.size() >= most_room) return status;
    samples_.resize(std::clamp<std::size_t>(count, 2 * samples_.size(), most_room));
  }
  return nvml::insufficient_size;
}

std::string NvmlUsers::why_not() {
  if (gpu_->facts().mig) return "MIG is on: the driver tells nobody's use of a GPU that is divided";
  unsigned count = 0;
  const auto status = ask(count);
  return status == nvml::success || status == nvml::not_found ? std::string() : nvml_words(status);
}

// A sample is its process's share of the time since the sample before. Where it is the only one, that is taken to be
// since the look before; a share above all of the time is rubbish.
void NvmlUsers::add_samples(std::span<nvml::ProcessSample> samples, Duration since, std::vector<DeviceUse>& out) {
  std::sort(samples.begin(), samples.end(), [](const auto& a, const auto& b) { return a.time_us < b.time_us; });
  const auto since_us = static_cast<unsigned long long>(std::max<std::int64_t>(0, since.ns / 1000));
  // A time far ahead of the one before is rubbish too; believed, it would hide every sample after it.
  const unsigned long long latest = last_us_ == 0 ? INT64_MAX : last_us_ + since_us + far_ahead_us;
  unsigned long long newest = last_us_;
  for (const auto& sample : samples)
    if (sample.sm <= 100 && sample.time_us > last_us_ && sample.time_us < latest) newest = sample.time_us;
  if (newest == last_us_) return;
  const unsigned long long begin = std::max(last_us_, newest - std::min(newest, since_us));
  unsigned long long apart = 0;  // shortest distance of two times
  for (std::size_t i = 1; i < samples.size(); ++i)
    if (samples[i].time_us > samples[i - 1].time_us && samples[i - 1].time_us > begin) {
      const auto distance = samples[i].time_us - samples[i - 1].time_us;
      apart = apart == 0 ? distance : std::min(apart, distance);
    }
  for (const auto& sample : samples) {
    if (sample.sm > 100 || sample.pid == 0 || sample.time_us <= begin || sample.time_us > newest) continue;
    const auto length_us = std::min(apart == 0 ? newest : apart, sample.time_us - begin);
    if (looked_) entry(out, sample.pid).used_ns += static_cast<std::int64_t>(length_us * sample.sm) * percent_us_to_ns;
  }
  last_us_ = newest;
}

void NvmlUsers::add_holders(Instant now, std::vector<DeviceUse>& out) {
  if (now >= next_list_) {
    const Instant before = machine_.now();
    std::size_t held = 0;
    std::vector<nvml::ProcessInfo> found;
    for (const auto list : {&NvmlLibrary::compute_processes, &NvmlLibrary::graphics_processes}) {
      found.resize(std::max<std::size_t>(found.size(), first_room));
      auto count = static_cast<unsigned>(found.size());
      auto status = gpu_->call(list, &count, found.data());
      if (status == nvml::insufficient_size && count <= most_room) {
        found.resize(count + 16);
        count = static_cast<unsigned>(found.size());
        status = gpu_->call(list, &count, found.data());
      }
      if (status != nvml::success) continue;
      const auto known = std::min<std::size_t>(count, found.size());
      holders_.resize(std::max(holders_.size(), held + known));
      std::copy_n(found.begin(), known, holders_.begin() + static_cast<std::ptrdiff_t>(held));
      held += known;
    }
    holders_.resize(held);
    next_list_ = now + std::max(list_period, list_cost_factor * (machine_.now() - before));
  }
  for (const auto& holder : holders_) {
    DeviceUse& one = entry(out, holder.pid);
    one.holds = true;
    if (!nvml_blank(holder.used_bytes) && holder.used_bytes <= INT64_MAX) one.memory_bytes = holder.used_bytes;
  }
}

bool NvmlUsers::look(std::vector<DeviceUse>& out) {
  out.clear();
  const Instant now = machine_.now();
  unsigned count = 0;
  const auto status = ask(count);
  if (status != nvml::success && status != nvml::not_found) return false;
  if (status == nvml::success)
    add_samples(std::span(samples_).first(std::min<std::size_t>(count, samples_.size())), now - last_look_, out);
  last_look_ = now;
  looked_ = true;
  add_holders(now, out);
  return true;
}

}  // namespace prony
