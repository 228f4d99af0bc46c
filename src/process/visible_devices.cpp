#include "process/visible_devices.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr std::size_t least_uuid = 5;  // "GPU-" and a digit

struct Named {
  std::string words;  // "": it names nothing
  bool by_index = false;
};

const NamedDevice* by_beginning(std::string_view uuid, std::span<const NamedDevice> devices) {
  const NamedDevice* found = nullptr;
  for (const NamedDevice& one : devices) {
    if (uuid.size() < least_uuid || !std::string_view(one.device).starts_with(uuid)) continue;
    if (found != nullptr) return nullptr;  // not enough to tell which
    found = &one;
  }
  return found;
}

Named named(std::string_view entry, std::span<const NamedDevice> devices) {
  constexpr std::string_view mig = "MIG-", old_mig = "MIG-GPU-";
  if (entry.starts_with(old_mig)) {
    const auto* gpu = by_beginning(entry.substr(mig.size(), entry.find('/') - mig.size()), devices);
    return {gpu == nullptr ? std::string() : "a MIG device of " + gpu->domain};
  }
  if (entry.starts_with(mig)) return {"MIG device " + printable(entry, 50)};
  if (entry.starts_with("GPU-")) {
    const auto* gpu = by_beginning(entry, devices);
    return {gpu == nullptr ? std::string() : gpu->domain};
  }
  const auto index = parse_u64(entry);
  if (!index) return {};
  const std::string domain = "gpu-" + std::to_string(*index);
  const bool there = std::ranges::any_of(devices, [&](const NamedDevice& one) { return one.domain == domain; });
  return {there ? domain : std::string(), true};
}

}  // namespace

std::string visible_devices_words(std::string_view value, std::string_view order,
                                  std::span<const NamedDevice> devices) {
  std::string words;
  bool by_index = false;
  for (const std::string_view part : split(value, ',')) {
    const Named one = named(trim(part), devices);
    if (one.words.empty()) break;
    by_index = by_index || one.by_index;
    words += (words.empty() ? "" : ", ") + one.words;
  }
  if (words.empty()) return "none";
  // CUDA counts from the fastest unless it is told to count along the bus.
  const bool doubtful = by_index && devices.size() > 1 && order != "PCI_BUS_ID";
  return words + (doubtful ? " (if CUDA counts as the driver does: CUDA_DEVICE_ORDER is not PCI_BUS_ID)" : "");
}

std::string_view environment_value(std::string_view environment, std::string_view name) noexcept {
  while (!environment.empty()) {
    const auto entry = environment.substr(0, environment.find('\0'));
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=')
      return entry.substr(name.size() + 1);
    environment.remove_prefix(std::min(environment.size(), entry.size() + 1));
  }
  return {};
}

}  // namespace prony
