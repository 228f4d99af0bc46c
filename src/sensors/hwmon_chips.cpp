#include "sensors/hwmon_chips.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "base/text.hpp"
#include "sensors/file_sensor.hpp"

namespace prony {

namespace {

bool is_power_supply(Machine& machine, const std::string& path) {
  static constexpr std::array<std::string_view, 5> kinds{"Battery", "Mains", "UPS", "USB", "Wireless"};
  const auto type = machine.read_text(path + "/device/type");
  return type && std::find(kinds.begin(), kinds.end(), std::string_view(*type)) != kinds.end();
}

}  // namespace

std::vector<HwmonInput> HwmonChip::inputs(Machine& machine, std::string_view kind, std::string_view suffix) const {
  std::vector<HwmonInput> result;
  for (const auto& entry : entries) {
    const std::string_view file = entry;
    if (file.size() <= kind.size() + suffix.size() || !file.starts_with(kind) || !file.ends_with(suffix)) continue;
    const auto number = file.substr(kind.size(), file.size() - kind.size() - suffix.size());
    const auto index = parse_u64(number);
    if (!index || *index > 9999 || number.front() == ' ') continue;
    const auto stem = path + "/" + std::string(kind) + std::string(number);
    if (const auto enabled = machine.read_text(stem + "_enable"); enabled && *enabled == "0") continue;
    HwmonInput input{static_cast<unsigned>(*index), path + "/" + entry, std::string(kind) + std::string(number), false};
    if (const auto label = machine.read_text(stem + "_label"); label && !label->empty()) {
      if (*label == "NC") continue;  // "not connected" on Jetson boards
      input.label = *label;
      input.labelled = true;
    }
    result.push_back(std::move(input));
  }
  std::sort(result.begin(), result.end(), [](const auto& a, const auto& b) { return a.index < b.index; });
  return result;
}

std::vector<HwmonChip> hwmon_chips(Machine& machine) {
  std::vector<HwmonChip> chips;
  const auto directories = machine.list("/sys/class/hwmon");
  if (!directories) return chips;
  std::map<std::string, int> seen;
  for (const auto& directory : *directories) {
    if (!directory.starts_with("hwmon")) continue;
    HwmonChip chip;
    chip.path = "/sys/class/hwmon/" + directory;
    // Before Linux 3.15 some drivers kept their files beside the hwmon directory, in the device's.
    if (!machine.exists(chip.path + "/name") && machine.exists(chip.path + "/device/name")) chip.path += "/device";
    const auto name = machine.read_text(chip.path + "/name");
    chip.driver = name && !name->empty() ? *name : directory;
    chip.device = directory;
    if (const auto link = machine.read_link("/sys/class/hwmon/" + directory + "/device")) {
      const auto base = link->substr(link->rfind('/') + 1);
      if (!base.empty() && base != "..") chip.device = base;
    }
    chip.power_supply = is_power_supply(machine, "/sys/class/hwmon/" + directory);
    chip.entries = machine.list(chip.path).value_or(std::vector<std::string>{});
    ++seen[chip.driver];
    chips.push_back(std::move(chip));
  }
  for (auto& chip : chips) chip.name = name_part(seen[chip.driver] > 1 ? chip.driver + "@" + chip.device : chip.driver);
  return chips;
}

}  // namespace prony
