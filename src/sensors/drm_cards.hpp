// The graphics processors that the kernel shows in /sys/class/drm, with the hwmon folder that belongs to each. Shared
// by the sensors of their makers and by hwmon, which leaves these chips to them. Thread promise: pure functions of a
// Machine. Source: Documentation/gpu/amdgpu/thermal.rst, Documentation/ABI/testing/ sysfs-driver-intel-i915-hwmon,
// sysfs-driver-intel-xe-hwmon.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "machine/machine.hpp"
#include "model/channel.hpp"

namespace prony {

struct DrmCard {
  std::string name;     // "card1"
  std::string path;     // "/sys/class/drm/card1"
  std::string driver;   // "amdgpu", "i915", "xe"; of a recorded tree without links by its maker: "amdgpu" or "i915"
  std::string address;  // "0000:03:00.0"; a tree without links: the card's name
  std::string hwmon;    // "hwmon4": of its device; "": it has none
  std::string domain;   // what its channels are called: "amdgpu", of several "amdgpu-0", "amdgpu-1" … by address
  [[nodiscard]] std::string device() const { return path + "/device"; }
  [[nodiscard]] std::string sensors() const { return path + "/device/hwmon/" + hwmon; }
};

// Cards of these drivers, by address.
[[nodiscard]] std::vector<DrmCard> drm_cards(Machine& machine, std::initializer_list<std::string_view> drivers);

// A channel of a card: "amdgpu.amdgpu-load.fraction"; `what` "": the card as a whole, "amdgpu.amdgpu.energy".
[[nodiscard]] Channel card_channel(const char* sensor, const DrmCard& card, const std::string& what, Measure measure,
                                   double scale);

}  // namespace prony
