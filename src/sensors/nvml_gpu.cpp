#include "sensors/nvml_gpu.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.hpp"
#include "sensors/retry_pause.hpp"

namespace prony {

namespace {

constexpr unsigned most_gpus = 64, most_instances = 16;

// Text that a function of the library writes; whatever it wrote ends within the buffer.
template <class Function>
std::string library_text(const NvmlLibrary& library, Function NvmlLibrary::* function, nvml::Device device) {
  std::array<char, 97> buffer{};
  if (library.call(function, device, buffer.data(), static_cast<unsigned>(buffer.size() - 1)) != nvml::success)
    return {};
  return printable(std::string_view(buffer.data()), 96);
}

std::string bus_of(const NvmlLibrary& library, nvml::Device device) {
  nvml::PciInfo info;
  if (library.call(&NvmlLibrary::pci, device, &info) != nvml::success) return {};
  info.bus_id[sizeof info.bus_id - 1] = '\0';
  return printable(std::string_view(info.bus_id), 40);
}

bool is_superchip(const NvmlLibrary& library, nvml::Device device, const std::string& name) {
  nvml::C2cMode mode;
  if (library.call(&NvmlLibrary::c2c, device, &mode) == nvml::success) return mode.enabled == 1;
  return name.find("GH200") != std::string::npos || name.find("GB200") != std::string::npos;
}

void find_instances(const NvmlLibrary& library, nvml::Device device, NvmlGpuFacts& facts) {
  unsigned mode = 0, pending = 0, count = 0;
  if (library.call(&NvmlLibrary::mig_mode, device, &mode, &pending) != nvml::success || mode != 1) return;
  facts.mig = true;
  if (library.call(&NvmlLibrary::mig_count, device, &count) != nvml::success) return;
  for (unsigned i = 0; i < std::min(count, most_instances); ++i) {
    nvml::Device instance = nullptr;
    if (library.call(&NvmlLibrary::mig_by_index, device, i, &instance) != nvml::success) continue;
    facts.instances.push_back(library_text(library, &NvmlLibrary::uuid, instance));
  }
}

// As few characters of the UUIDs as tell them apart, "GPU-" and eight at least.
void shorten(std::vector<NvmlGpuFacts>& gpus) {
  for (NvmlGpuFacts& gpu : gpus) {
    const std::string head = gpu.uuid.substr(0, 12);
    const auto alike = std::count_if(gpus.begin(), gpus.end(),
                                     [&](const NvmlGpuFacts& other) { return other.uuid.starts_with(head); });
    gpu.label = alike == 1 ? head : gpu.uuid;
  }
}

}  // namespace

NvmlGpu::NvmlGpu(Machine& machine, std::shared_ptr<NvmlLibrary> library, NvmlGpuFacts facts)
    : machine_(machine), library_(std::move(library)), facts_(std::move(facts)) {}

// An error of one query says nothing of the GPU; these do.
bool NvmlGpu::means_away(nvml::Status status) noexcept {
  switch (status) {
    case nvml::uninitialized:
    case nvml::invalid_argument:
    case nvml::driver_not_loaded:
    case nvml::gpu_is_lost:
    case nvml::reset_required:
    case nvml::operating_system:
    case nvml::version_mismatch:
    case nvml::gpu_not_found: return true;
    default: return false;
  }
}

nvml::Status NvmlGpu::leave(nvml::Status status) noexcept {
  // A handle of before a restart is invalid, and nobody has left.
  if (handle_of_ != library_->generation()) return nvml::not_ready;
  // Nor has one whose driver only dislikes an argument.
  unsigned architecture = 0;
  if (status == nvml::invalid_argument &&
      library_->call(&NvmlLibrary::architecture, handle_.load(), &architecture) == nvml::success)
    return nvml::not_supported;
  const std::lock_guard lock(returning_);
  if (away_.load(std::memory_order_relaxed) != nvml::success) return status;
  left_with_.store(status, std::memory_order_relaxed);
  left_ns_.store(machine_.now().ns, std::memory_order_release);
  away_.store(status, std::memory_order_release);
  tries_ = 0;
  next_try_ = machine_.now() + pause_after(tries_);
  return status;
}

nvml::Status NvmlGpu::come_back() noexcept {
  const std::unique_lock lock(returning_, std::try_to_lock);
  const auto status = away_.load(std::memory_order_relaxed);
  if (!lock) return status != nvml::success ? status : nvml::not_ready;
  const bool left = status != nvml::success;
  const Instant now = machine_.now();
  if (left && now < next_try_) return status;
  const auto find = [this] {
    nvml::Device device = nullptr;
    unsigned architecture = 0;
    const auto generation = library_->generation();
    auto found = library_->call(&NvmlLibrary::by_uuid, facts_.uuid.c_str(), &device);
    if (found == nvml::success) found = library_->call(&NvmlLibrary::architecture, device, &architecture);
    if (found == nvml::not_supported || found == nvml::function_not_found) found = nvml::success;
    if (found != nvml::success || device == nullptr) return found == nvml::success ? nvml::not_found : found;
    handle_.store(device, std::memory_order_release);
    handle_of_.store(generation, std::memory_order_release);
    return nvml::success;
  };
  auto found = find();
  if (found != nvml::success && left) {
    found = library_->restart(library_->generation());
    if (found == nvml::success) found = find();
  }
  if (found == nvml::success) {
    if (left) back_ns_.store(machine_.now().ns, std::memory_order_release);
    away_.store(nvml::success, std::memory_order_release);
    return found;
  }
  if (!left) {
    left_with_.store(found, std::memory_order_relaxed);
    left_ns_.store(now.ns, std::memory_order_release);
    tries_ = 0;
  }
  away_.store(found, std::memory_order_release);
  next_try_ = now + pause_after(++tries_);
  return found;
}

nvml::Status NvmlGpu::instance_memory(std::size_t instance, nvml::Memory* out) {
  nvml::Device device = nullptr;
  const auto found = call(&NvmlLibrary::mig_by_index, static_cast<unsigned>(instance), &device);
  return found == nvml::success ? library_->call(&NvmlLibrary::memory, device, out) : found;
}

std::vector<Event> NvmlGpu::changes() {
  std::vector<Event> events;
  const auto left = left_ns_.load(std::memory_order_acquire), back = back_ns_.load(std::memory_order_acquire);
  const std::string subject = "nvml." + facts_.label;
  const auto tell_left = [&] {
    if (left == told_left_ns_) return;
    const bool first = std::exchange(told_left_ns_, left) == 0;
    if (first) return;  // that one is a complaint
    events.push_back({Instant{left}, "sensor-lost", subject,
                      facts_.domain + ": " + nvml_words(left_with_.load(std::memory_order_relaxed))});
  };
  const auto tell_back = [&] {
    if (back == told_back_ns_) return;
    told_back_ns_ = back;
    events.push_back({Instant{back}, "sensor-back", subject, facts_.domain + " answers again"});
  };
  if (back < left) tell_back();
  tell_left();
  if (back > left) tell_back();
  return events;
}

std::optional<Unavailable> NvmlGpu::complaint() {
  const auto left = left_ns_.load(std::memory_order_acquire);
  if (left == 0 || complained_) return std::nullopt;
  complained_ = true;
  return Unavailable{"nvml." + facts_.label,
                     facts_.domain + ": " + nvml_words(left_with_.load(std::memory_order_relaxed)) +
                         "; nothing of it is measured until it answers again",
                     "dmesg names the fault (Xid), nvidia-smi shows whether it is back"};
}

std::vector<std::shared_ptr<NvmlGpu>> find_nvml_gpus(Machine& machine, const std::shared_ptr<NvmlLibrary>& library,
                                                     std::vector<Unavailable>& missing) {
  unsigned count = 0;
  if (const auto status = library->call(&NvmlLibrary::count, &count); status != nvml::success) {
    missing.push_back({"nvml", nvml_words(status), {}});
    return {};
  }
  std::vector<NvmlGpuFacts> found;
  for (unsigned i = 0; i < std::min(count, most_gpus); ++i) {
    nvml::Device device = nullptr;
    const std::string domain = "gpu-" + std::to_string(i);
    if (const auto status = library->call(&NvmlLibrary::by_index, i, &device); status != nvml::success) {
      missing.push_back({"nvml." + domain, domain + ": " + nvml_words(status), {}});
      continue;
    }
    NvmlGpuFacts facts;
    facts.domain = domain;
    facts.uuid = library_text(*library, &NvmlLibrary::uuid, device);
    if (facts.uuid.empty()) {
      missing.push_back({"nvml." + domain, domain + ": it does not say who it is (no UUID)", {}});
      continue;
    }
    if (std::ranges::any_of(found, [&](const NvmlGpuFacts& other) { return other.uuid == facts.uuid; })) {
      missing.push_back({"nvml." + domain, domain + ": it calls itself as another does: " + facts.uuid, {}});
      continue;
    }
    facts.name = library_text(*library, &NvmlLibrary::name, device);
    facts.bus_id = bus_of(*library, device);
    if (library->call(&NvmlLibrary::architecture, device, &facts.architecture) != nvml::success)
      facts.architecture = 0;  // a driver of before this question, and so a GPU of before Ampere
    facts.superchip = is_superchip(*library, device, facts.name);
    find_instances(*library, device, facts);
    found.push_back(std::move(facts));
  }
  if (count > most_gpus)
    missing.push_back(
        {"nvml", "of " + std::to_string(count) + " GPUs the first " + std::to_string(most_gpus) + " are read", {}});
  shorten(found);
  std::vector<std::shared_ptr<NvmlGpu>> gpus;
  for (NvmlGpuFacts& facts : found) gpus.push_back(std::make_shared<NvmlGpu>(machine, library, std::move(facts)));
  return gpus;
}

}  // namespace prony
