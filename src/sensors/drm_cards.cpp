#include "sensors/drm_cards.hpp"

#include <algorithm>
#include <map>

namespace prony {

namespace {

bool is_card(std::string_view name) {
  return name.starts_with("card") && name.size() > 4 &&
         name.find_first_not_of("0123456789", 4) == std::string_view::npos;  // card0-HDMI-A-1 is a socket of one
}

// The last part of what a link leads to; "": no link.
std::string link_name(Machine& machine, const std::string& path) {
  const auto link = machine.read_link(path);
  if (!link) return {};
  const auto name = link->substr(link->rfind('/') + 1);
  return name == ".." ? std::string() : name;
}

std::string driver_of(Machine& machine, const std::string& device) {
  if (auto name = link_name(machine, device + "/driver"); !name.empty()) return name;
  const auto vendor = machine.read_text(device + "/vendor").value_or("");
  if (vendor == "0x1002") return "amdgpu";
  return vendor == "0x8086" ? (machine.exists(device + "/tile0") ? "xe" : "i915") : std::string();
}

}  // namespace

std::vector<DrmCard> drm_cards(Machine& machine, std::initializer_list<std::string_view> drivers) {
  std::vector<DrmCard> cards;
  const std::string top = "/sys/class/drm";
  for (const auto& name : machine.list(top).value_or(std::vector<std::string>{})) {
    if (!is_card(name)) continue;
    DrmCard card{name, top + "/" + name, {}, {}, {}, {}};
    card.driver = driver_of(machine, card.device());
    if (std::ranges::find(drivers, std::string_view(card.driver)) == drivers.end()) continue;
    card.address = link_name(machine, card.device());
    if (card.address.empty()) card.address = name;
    for (const auto& chip : machine.list(card.device() + "/hwmon").value_or(std::vector<std::string>{}))
      if (card.hwmon.empty() && chip.starts_with("hwmon")) card.hwmon = chip;
    cards.push_back(std::move(card));
  }
  std::ranges::sort(cards, {}, &DrmCard::address);
  std::map<std::string, int> count, next;
  for (const auto& card : cards) ++count[card.driver];
  for (auto& card : cards)
    card.domain = count[card.driver] > 1 ? card.driver + "-" + std::to_string(next[card.driver]++) : card.driver;
  return cards;
}

Channel card_channel(const char* sensor, const DrmCard& card, const std::string& what, Measure measure, double scale) {
  Channel channel;
  channel.sensor = sensor;
  channel.device = card.address;
  channel.domain = what.empty() ? card.domain : card.domain + "-" + what;
  channel.name = channel.sensor + "." + channel.domain + "." + std::string(to_string(measure));
  channel.measure = measure;
  channel.scale = scale;
  return channel;
}

}  // namespace prony
