#include "sensors/nvml_state.hpp"

#include <array>
#include <utility>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr std::size_t most_gpu_events = 200;  // of one GPU in one Run
constexpr unsigned calm_looks = 3;            // without a reason after which it is over

using Reason = std::pair<unsigned long long, const char*>;
// Not those that slow nothing that runs: idle, clocks that somebody set, a display.
constexpr std::array<Reason, 6> slowing{{{nvml::reason_power_cap, "its power limit"},
                                         {nvml::reason_hardware_slowdown, "the hardware's own protection"},
                                         {nvml::reason_sync_boost, "another GPU of its sync-boost group"},
                                         {nvml::reason_thermal_slowdown, "its temperature limit"},
                                         {nvml::reason_hardware_thermal, "heat (hardware, clocks halved)"},
                                         {nvml::reason_power_brake, "the server's power brake (clocks halved)"}}};

std::string limit_words(unsigned milliwatts) { return format_number(milliwatts * 1e-3) + " W"; }
std::string link_words(unsigned link) {
  return "generation " + std::to_string(link >> 8) + ", " + std::to_string(link & 0xff) + " lanes";
}

}  // namespace

void NvmlState::look() noexcept {
  unsigned long long reasons = 0;
  const bool known = gpu_->call(&NvmlLibrary::reasons, &reasons) == nvml::success && !nvml_blank(reasons);
  if (known) seen_.reasons.store(reasons, std::memory_order_relaxed);
  seen_.reasons_known.store(known, std::memory_order_relaxed);
  unsigned value = 0;
  const auto keep = [&](auto function, std::atomic<unsigned>& place, unsigned most) {
    value = 0;
    if (gpu_->call(function, &value) == nvml::success && !nvml_blank(value) && value > 0 && value <= most)
      place.store(value, std::memory_order_relaxed);
  };
  keep(&NvmlLibrary::enforced_limit, seen_.limit_mw, 100'000'000);
  keep(&NvmlLibrary::link_generation, seen_.link_generation, 255);
  keep(&NvmlLibrary::link_width, seen_.link_width, 255);
  seen_.looks.fetch_add(1, std::memory_order_release);
}

void NvmlState::tell(std::vector<Event>& events, const char* kind, std::string text) {
  if (events_ >= most_gpu_events) return;
  if (++events_ == most_gpu_events) text += "; there are more changes, which are not told";
  events.push_back(
      {machine_.now(), kind, "nvml." + gpu_->facts().label, gpu_->facts().domain + ": " + std::move(text)});
}

void NvmlState::tell_reasons(std::vector<Event>& events) {
  if (!seen_.reasons_known.load(std::memory_order_relaxed)) return;
  const auto reasons = seen_.reasons.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < slowing.size(); ++i) {
    const auto& [bit, words] = slowing[i];
    const bool now = (reasons & bit) != 0, before = (running_ & bit) != 0;
    calm_[i] = now ? 0 : calm_[i] + 1;
    if (now && !before) {
      running_ |= bit;
      tell(events, "throttle", std::string("slowed by ") + words);
    } else if (before && calm_[i] >= calm_looks) {
      running_ &= ~bit;
      tell(events, "throttle", std::string("no longer slowed by ") + words);
    }
  }
}

void NvmlState::tell_value(std::vector<Event>& events, const char* kind, const char* what, unsigned now, unsigned& told,
                           std::string (*words)(unsigned)) {
  if (now == 0 || now == told) return;
  if (told != 0) tell(events, kind, std::string(what) + ": " + words(told) + " → " + words(now));
  told = now;
}

std::vector<Event> NvmlState::changes() {
  std::vector<Event> events;
  const auto looks = seen_.looks.load(std::memory_order_acquire);
  if (looks == told_look_) return events;
  told_look_ = looks;
  tell_reasons(events);
  tell_value(events, "limit", "power limit", seen_.limit_mw.load(std::memory_order_relaxed), told_limit_, limit_words);
  const unsigned generation = seen_.link_generation.load(std::memory_order_relaxed);
  const unsigned width = seen_.link_width.load(std::memory_order_relaxed);
  const unsigned link = generation != 0 && width != 0 ? generation << 8 | width : 0;
  tell_value(events, "pcie", "PCIe link", link, told_link_, link_words);
  return events;
}

}  // namespace prony
