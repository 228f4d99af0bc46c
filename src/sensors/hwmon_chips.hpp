// What hwmon shows: chips with their inputs, named the same way at every boot. Shared by hwmon and hwmon-climate.
// Thread promise: pure functions of a Machine. Source: Documentation/hwmon/sysfs-interface.rst.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "machine/machine.hpp"

namespace prony {

struct HwmonInput {
  unsigned index = 0;  // 3 of in3_input
  std::string path;    // of the value
  std::string label;   // "VDD_IN"; without a label file "in3"
  bool labelled = false;
};

struct HwmonChip {
  std::string path;           // "/sys/class/hwmon/hwmon2", or its device directory on old drivers
  std::string driver;         // text of `name`: "ina3221"
  std::string name;           // unique here: "ina3221", or with the device where there are several: "ina3221@1-0040"
  std::string device;         // what the device link leads to: "1-0040", else "hwmon2"
  bool power_supply = false;  // battery or charger: its power has a sign that drivers do not agree on
  std::vector<std::string> entries;

  // Inputs such as in*_input ("in", "_input"), by index; those switched off (*_enable = 0) and rails labelled "NC" left
  // out.
  [[nodiscard]] std::vector<HwmonInput> inputs(Machine& machine, std::string_view kind, std::string_view suffix) const;
};

[[nodiscard]] std::vector<HwmonChip> hwmon_chips(Machine& machine);

}  // namespace prony
