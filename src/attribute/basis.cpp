#include "attribute/basis.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "model/target.hpp"

namespace prony::attribution {

namespace {

using Channels = std::span<const Channel* const>;

// Lower-case words of a domain, each without the number at its end: "amdgpu-PPT" → amdgpu, ppt; "VDD_GPU_SOC" → vdd,
// gpu, soc; "nvme0" → nvme.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  const auto end_word = [&] {
    if (word == "i915") words.push_back(word);  // a name, not the 915th of its kind
    while (!word.empty() && std::isdigit(static_cast<unsigned char>(word.back())) != 0) word.pop_back();
    if (!word.empty()) words.push_back(word);
    word.clear();
  };
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0)
      word += static_cast<char>(std::tolower(byte));
    else
      end_word();
  }
  end_word();
  return words;
}

template <std::size_t N>
bool any_of_them(const std::vector<std::string>& words, const std::array<std::string_view, N>& wanted) {
  return std::ranges::any_of(words,
                             [&](const std::string& word) { return std::ranges::find(wanted, word) != wanted.end(); });
}

constexpr std::array<std::string_view, 19> accelerators{
    "gpu", "igpu", "dgpu",  "amdgpu", "radeon", "nouveau", "nvidia", "nvml", "i915", "xe",
    "npu", "tpu",  "hailo", "gaudi",  "habana", "neuron",  "accel",  "xpu",  "dla"};
constexpr std::array<std::string_view, 18> devices{"nvme", "disk", "ssd",     "hdd",  "sata",      "drivetemp",
                                                   "nic",  "eth",  "network", "wlan", "wifi",      "mlx",
                                                   "usb",  "fan",  "display", "hdmi", "backlight", "modem"};
constexpr std::array<std::string_view, 7> memories{"dram", "ddr", "lpddr", "dimm", "ram", "vddq", "vddrq"};
constexpr std::array<std::string_view, 4> processors{"cpu", "cpus", "package", "psys"};

// "package-12" of "package-12" and of "package-12-die-0"; "" otherwise.
std::string package_named(std::string_view domain) {
  constexpr std::string_view prefix = "package-";
  if (!domain.starts_with(prefix)) return {};
  std::size_t end = prefix.size();
  while (end < domain.size() && std::isdigit(static_cast<unsigned char>(domain[end])) != 0) ++end;
  const bool whole = end > prefix.size() && (end == domain.size() || domain[end] == '-');
  return whole ? std::string(domain.substr(0, end)) : std::string();
}

bool is_package(std::string_view domain) { return !domain.empty() && package_named(domain) == domain; }

// What one kind of use looks like among the channels.
struct Use {
  Weight weight;
  std::string domain;  // of counted events and devices; "" for others
  std::string place;   // "" or "package-N"
};

std::string at(const Use& use) { return use.place.empty() ? use.domain : use.domain + "-" + use.place; }

bool tells(const Channel& channel, const Use& use) {
  const bool counter = channel.kind == ChannelKind::counter;
  switch (use.weight) {
    case Weight::cpu_time:
      return counter && channel.measure == Measure::cpu_time &&
             (use.place.empty() ? !is_package(channel.domain) : channel.domain == use.place);
    case Weight::cycles:
    case Weight::cache_misses: return counter && channel.measure == Measure::count && channel.domain == at(use);
    case Weight::resident:
      return !counter && channel.measure == Measure::memory &&
             (channel.scope == Scope::host ? channel.name == "memory.used" : channel.name.ends_with(".rss"));
    case Weight::device_use:
      return counter && !gives_energy(channel) && channel.domain == use.domain &&
             (channel.measure == Measure::time || channel.measure == Measure::cpu_time);
    case Weight::none: break;
  }
  return false;
}

const Channel* find(Channels read, const Use& use, Scope scope, const std::string& target = {}) {
  for (const Channel* channel : read)
    if (channel->scope == scope && tells(*channel, use) && (scope != Scope::target || target_name(*channel) == target))
      return channel;
  return nullptr;
}

// A modelled channel's readings are the machine's busy time too.
const Channel* modelled_busy(Channels read) {
  for (const Channel* channel : read)
    if (channel->model && channel->kind == ChannelKind::counter) return channel;
  return nullptr;
}

Basis gather(Channels read, std::span<const std::string> targets, const Use& use, std::string text) {
  Basis basis{use.weight, use.weight == Weight::device_use ? use.domain : use.place, std::move(text), {}, nullptr, {},
              nullptr};
  basis.host = find(read, use, Scope::host);
  for (const std::string& target : targets) basis.targets.push_back(find(read, use, Scope::target, target));
  basis.prony = find(read, use, Scope::prony);
  return basis;
}

// The machine's use is known, and that of everybody whose CPU time is.
bool complete(const Basis& basis, const Basis& machine) {
  if (basis.host == nullptr || basis.targets.empty()) return false;
  bool any = false;
  for (std::size_t i = 0; i < basis.targets.size(); ++i) {
    if (basis.targets[i] == nullptr && machine.targets[i] != nullptr) return false;
    any = any || basis.targets[i] != nullptr;
  }
  return any;
}

Basis device_basis(const Channel& channel, Channels read, std::span<const std::string> targets, const Basis& machine) {
  const std::string& name = channel.domain.empty() ? channel.name : channel.domain;
  // Of a further view of the same device (its power beside its counter), use is the device's.
  const Channel* at = &channel;
  for (std::size_t steps = 0; at != nullptr && steps <= read.size(); ++steps) {
    Basis basis = gather(read, targets, {Weight::device_use, at->domain, {}}, "by use of " + at->domain);
    if (!at->domain.empty() && complete(basis, machine)) return basis;
    const auto whole = at->part_of;
    at = nullptr;
    for (const Channel* other : read)
      if (whole && other->id == *whole && !channel.device.empty() && other->device == channel.device) at = other;
  }
  return {Weight::none,
          {},
          "not separable: who used " + name + " was not recorded, and shares of CPU time say nothing of it",
          {},
          nullptr,
          {},
          nullptr};
}

}  // namespace

std::string target_name(const Channel& channel) {
  return channel.target.empty() ? std::string(command_target) : channel.target;
}

Feeds fed_by(const Channel& channel) {
  if (channel.sensor == "power_supply" || channel.model) return Feeds::processors;
  const auto words = words_of(channel.domain.empty() ? channel.name : channel.domain);
  if (any_of_them(words, accelerators)) return Feeds::accelerator;
  if (any_of_them(words, processors)) return Feeds::processors;
  if (!words.empty() && words.back() == "cv") return Feeds::accelerator;  // a Jetson's rail of vision and deep learning
  if (any_of_them(words, memories)) return Feeds::memory;
  return any_of_them(words, devices) ? Feeds::device : Feeds::processors;
}

std::string package_of(const Channel& channel, Channels channels) {
  const Channel* at = &channel;
  for (std::size_t steps = 0; at != nullptr && steps <= channels.size(); ++steps) {
    if (std::string package = package_named(at->domain); !package.empty()) return package;
    const auto parent = at->part_of;
    at = nullptr;
    for (const Channel* other : channels)
      if (parent && other->id == *parent) at = other;
  }
  // RAPL's zones beside a package carry its number: "dram-1", "core-0-die-1".
  for (const std::string_view kind : {"dram-", "core-", "uncore-"})
    if (channel.domain.starts_with(kind)) return package_named("package-" + channel.domain.substr(kind.size()));
  return {};
}

bool tells_use(const Channel& channel) {
  if (gives_energy(channel) || channel.kind == ChannelKind::gauge)
    return tells(channel, {Weight::resident, {}, {}}) && !gives_energy(channel);
  return channel.measure == Measure::cpu_time || channel.measure == Measure::count || channel.measure == Measure::time;
}

Basis machine_basis(Channels read, std::span<const std::string> targets) {
  Basis basis = gather(read, targets, {Weight::cpu_time, {}, {}}, "by CPU time");
  if (basis.host == nullptr) basis.host = modelled_busy(read);
  return basis;
}

Basis basis_of(const Channel& channel, Channels read, std::span<const std::string> targets,
               std::span<const Refused> refused) {
  Basis machine = machine_basis(read, targets);
  const Feeds feeds = fed_by(channel);
  if (feeds == Feeds::accelerator || feeds == Feeds::device) return device_basis(channel, read, targets, machine);
  const std::string package = package_of(channel, read);
  std::vector<std::pair<Use, std::string>> better;  // best first
  const auto offer = [&](Weight weight, const char* domain, const std::string& place, const std::string& text) {
    better.push_back({{weight, domain, place}, place.empty() ? text : text + " on " + place});
  };
  const bool memory = feeds == Feeds::memory;
  if (memory && !package.empty())
    offer(Weight::cache_misses, "llc-misses", package, "by misses of the last-level cache");
  if (memory) offer(Weight::cache_misses, "llc-misses", {}, "by misses of the last-level cache");
  if (memory) offer(Weight::resident, "", {}, "by resident memory");
  if (!package.empty()) offer(Weight::cycles, "cycles", package, "by CPU cycles");
  if (!package.empty()) offer(Weight::cpu_time, "", package, "by CPU time");
  offer(Weight::cycles, "cycles", {}, "by CPU cycles");
  bool part_known = false;
  std::string instead;
  for (const auto& [use, text] : better) {
    Basis basis = gather(read, targets, use, text);
    if (complete(basis, machine)) {
      basis.text += instead;
      basis.instead_of = instead;
      return basis;
    }
    const auto of_it = std::ranges::find_if(refused, [&](const Refused& one) { return tells(*one.channel, use); });
    if (instead.empty() && of_it != refused.end()) instead = " (not " + text + ": " + of_it->why + ")";
    part_known = part_known || (use.weight == Weight::cpu_time && basis.host != nullptr);
  }
  if (part_known) machine.text += " on the whole machine (that of each target on " + package + " was not recorded)";
  machine.text += instead;
  machine.instead_of = instead;
  return machine;
}

}  // namespace prony::attribution
