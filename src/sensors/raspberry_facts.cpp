// Facts of a Raspberry Pi: revision code, EEPROM bootloader, firmware, whether it may boost, what it was held back by
// since it began, and the generation of its PCIe links. Never its serial number. See machine_facts.hpp.
// Sources: raspberrypi.com, "Raspberry Pi revision codes" and "Device tree: chosen/bootloader"; Documentation/ABI/
// testing/sysfs-bus-pci (current_link_speed, current_link_width).
#include <array>

#include "base/text.hpp"
#include "sensors/machine_facts.hpp"
#include "sensors/raspberry_firmware.hpp"
#include "sensors/raspberry_text.hpp"

namespace prony {

namespace {

const std::string device_tree = "/sys/firmware/devicetree/base";

// A cell of the device tree: 32 bits, big end first.
std::optional<std::uint32_t> cell(Machine& machine, const std::string& path) {
  auto file = machine.open(path);
  std::array<char, 4> bytes{};
  if (!file || (*file)->read(bytes) != 4) return std::nullopt;
  std::uint32_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

std::optional<std::uint32_t> revision(Machine& machine) {
  std::optional<std::uint32_t> code;
  for_each_line(machine.read_text("/proc/cpuinfo").value_or(""), [&](std::string_view line) {
    const auto colon = line.find(':');
    if (colon != std::string_view::npos && trim(line.substr(0, colon)) == "Revision")
      code = revision_of(line.substr(colon + 1));
  });
  return code ? code : cell(machine, device_tree + "/system/linux,revision");
}

// "2024-09-23, 26826259"
std::string eeprom(Machine& machine) {
  const auto built = cell(machine, device_tree + "/chosen/bootloader/build-timestamp");
  const auto version = machine.read_text(device_tree + "/chosen/bootloader/version").value_or("");
  std::string words = built && *built > 0 ? format_utc(std::int64_t{*built} * 1'000'000'000).substr(0, 10) : "";
  if (!version.empty()) words += (words.empty() ? "" : ", ") + printable(version.substr(0, 8), 8);
  return words;
}

// "0001:01:00.0 8.0 GT/s x1 (generation 3)", for every link that is not the board's own I/O chip alone.
std::string pcie_links(Machine& machine) {
  struct Speed {
    std::string_view starts;
    int generation;
  };
  static constexpr std::array<Speed, 5> speeds{{{"2.5", 1}, {"5", 2}, {"8", 3}, {"16", 4}, {"32", 5}}};
  const std::string top = "/sys/bus/pci/devices";
  std::string words;
  std::size_t told = 0;
  for (const auto& device : machine.list(top).value_or(std::vector<std::string>{})) {
    const auto folder = top + "/" + device;
    // Bridges have the link of what is behind them.
    if (machine.read_text(folder + "/class").value_or("").starts_with("0x0604") || told >= 4) continue;
    const auto speed = machine.read_text(folder + "/current_link_speed").value_or("");
    const auto number = std::string_view(speed).substr(0, speed.find_first_of(" ."));
    const auto width = machine.read_text(folder + "/current_link_width").value_or("");
    for (const auto& [starts, generation] : speeds) {
      if (starts == "2.5" ? !speed.starts_with("2.5") : number != starts || speed.starts_with("2.5")) continue;
      words += (words.empty() ? "" : "; ") + printable(device, 20) + " generation " + std::to_string(generation) +
               ", " + printable(speed, 16) + (width.empty() ? "" : ", x" + printable(width, 4));
      ++told;
    }
  }
  return words;
}

}  // namespace

void describe_raspberry(Machine& machine, Manifest& manifest) {
  if (!is_raspberry(machine)) return;
  const auto set = [&](const std::string& key, const std::string& value) {
    if (!value.empty()) manifest.set("machine." + key, value, "machine");
  };
  if (const auto code = revision(machine)) set("board_revision", revision_words(*code));
  set("eeprom", eeprom(machine));
  set("pcie_links", pcie_links(machine));
  const auto firmware = open_firmware(machine);
  if (!firmware) return;
  const auto say = [&](const std::string& words) { return (*firmware)->command(words).value_or(std::string()); };
  // "2024/09/23 14:02:56", a copyright, "version 26826259 (release) (embedded)".
  std::string_view version_text;
  const auto version = say("version");
  version_text = version;
  const auto first = next_line(version_text);
  if (first && firmware_error(version).empty()) set("firmware", printable(*first, 40));
  const auto boost = say("get_config arm_boost");
  if (const auto equals = boost.find('='); equals != std::string::npos && boost.starts_with("arm_boost"))
    set("boost", trim(std::string_view(boost).substr(equals + 1)) == "0" ? "off (arm_boost=0)" : "on (arm_boost=1)");
  if (const auto word = throttled_of(say("get_throttled")))
    set("held_back_since_boot", throttle_words(throttled_since_boot(*word)));
}

}  // namespace prony
