// Five ways of giving no value, told apart in words and in JSON; and names that are out to break what prints them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <nlohmann/json.hpp>

#include "machine/simulated.hpp"
#include "sensors/file_sensor.hpp"
#include "sensors/report.hpp"

namespace prony {
namespace {

const SensorReport& report_of(const std::vector<SensorReport>& reports, std::string_view name) {
  return *std::find_if(reports.begin(), reports.end(), [&](const SensorReport& r) { return r.name == name; });
}

// Kills: one "not available" for all, rubbish shown as a sensor that is ready, and a channel without a reason.
TEST(ToldApart, DeniedAbsentGoneMalformedAndUnreadableAreFiveThingsInWordsAndInJson) {
  SimulatedMachine machine;
  const std::string base = "/sys/class/thermal/thermal_zone";
  for (const char n : {'0', '1', '2', '3', '4', '5'}) {
    machine.set_file(base + n + "/type", std::string("zone-") + n);
    if (n != '1') machine.set_file(base + n + "/temp", "45000");
  }
  machine.set_fault(base + "0/temp", EACCES);  // and 1 has no such file
  machine.set_fault(base + "2/temp", ENODEV);
  machine.set_file(base + "3/temp", "warm");
  machine.set_fault(base + "4/temp", EIO);
  const auto reports = probe_sensors(machine, {});
  const SensorReport& thermal = report_of(reports, "thermal");
  EXPECT_EQ(thermal.state, SensorState::partial);

  const auto document = nlohmann::json::parse(sensors_json(reports));
  std::map<std::string, std::string> kinds;
  for (const auto& sensor : document["sensors"])
    if (sensor["name"] == "thermal")
      for (const auto& entry : sensor["unavailable"]) kinds[entry["subject"]] = entry["kind"];
  const std::map<std::string, std::string> intended{{"thermal.zone-0.temperature", "denied"},
                                                    {"thermal.zone-1.temperature", "absent"},
                                                    {"thermal.zone-2.temperature", "gone"},
                                                    {"thermal.zone-3.temperature", "malformed"},
                                                    {"thermal.zone-4.temperature", "transient"}};
  EXPECT_EQ(kinds, intended);
  const std::string text = sensors_text(reports, 300);
  for (const char* words : {"zone0/temp: cannot open: Permission denied", "zone1/temp: cannot open: No such file",
                            "zone2/temp: cannot open: No such device", "and 1 more (--json names them)"})
    EXPECT_NE(text.find(words), std::string::npos) << words << text;
  EXPECT_NE(document.dump().find("zone3/temp: holds something that is not an integer"), std::string::npos);
}

// Kills: a label of 70 000 characters, a line end or an escape in the name of a channel.
TEST(ToldApart, ALabelBecomesANameThatFitsATableAndNeedsNoQuotes) {
  EXPECT_EQ(name_part(std::string(70'000, 'x')), std::string(64, 'x'));
  EXPECT_EQ(name_part("a\nb\r\"c\",d.e/f\x1b[2J\x7f"), "a-b--c--d-e-f-[2J-");
  EXPECT_EQ(name_part("\xc3\xa9\xff"), "---");
  EXPECT_EQ(name_part(" \n\t"), "unnamed");
}

}  // namespace
}  // namespace prony
