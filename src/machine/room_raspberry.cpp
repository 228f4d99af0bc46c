// The Raspberry Pis of the machine room. Their watts are of the right size and nobody's measurement; names, order,
// numbers and steps of the rails are those of published answers to `pmic_read_adc` (github.com/jfikar/RPi5-power).
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "base/text.hpp"
#include "machine/firmware_device.hpp"
#include "machine/room_builder.hpp"

namespace prony {

namespace {

struct Rail {
  const char* name;
  int current_index, voltage_index;
  double volts, step_a;
  double idle_w, dynamic_w;  // watts = idle + load × dynamic
};
constexpr double main_step = 0.00097593, small_step = 0.00006105, core_step = 0.00893;
constexpr std::array<Rail, 12> rails{{{"3V7_WL_SW", 0, 8, 3.71, main_step, 0.20, 0.05},
                                      {"3V3_SYS", 1, 9, 3.31, main_step, 0.20, 0.05},
                                      {"1V8_SYS", 2, 10, 1.80, main_step, 0.30, 0.06},
                                      {"DDR_VDD2", 3, 11, 1.105, main_step, 0.10, 0.60},
                                      {"DDR_VDDQ", 4, 12, 0.604, main_step, 0.02, 0.20},
                                      {"1V1_SYS", 5, 13, 1.105, main_step, 0.22, 0.05},
                                      {"0V8_SW", 6, 14, 0.80, main_step, 0.25, 0.10},
                                      {"VDD_CORE", 7, 15, 0.86, core_step, 0.70, 5.20},
                                      {"3V3_DAC", 17, 20, 3.31, small_step, 0.002, 0},
                                      {"3V3_ADC", 18, 21, 3.31, small_step, 0.002, 0},
                                      {"0V8_AON", 16, 19, 0.798, small_step, 0.003, 0},
                                      {"HDMI", 22, 23, 5.07, small_step, 0.08, 0}}};

PowerCurve curve_of(const Rail& rail, const PowerCurve& load) {
  return PowerCurve::constant(Watts(rail.idle_w)).plus(load.scaled(rail.dynamic_w));
}

std::string row(const char* name, const char* suffix, const char* what, int index, double value, char unit) {
  return std::string(name) + suffix + " " + what + "(" + std::to_string(index) + ")=" + format_fixed(value, 8) + unit +
         "\n";
}

std::string rails_text(const PowerCurve& load, Duration t) {
  std::string text;
  for (const Rail& rail : rails) {
    const double amperes = curve_of(rail, load).watts(t).value() / rail.volts;
    text += row(rail.name, "_A", "current", rail.current_index, std::round(amperes / rail.step_a) * rail.step_a, 'A');
  }
  for (const Rail& rail : rails) text += row(rail.name, "_V", "volt", rail.voltage_index, rail.volts, 'V');
  text += row("EXT5V", "_V", "volt", 24, 5.07, 'V');
  text += row("BATT", "_V", "volt", 25, 0, 'V');
  return text;
}

// Under-voltage has been since boot; the soft temperature limit comes for a second in every four.
std::uint32_t throttle_word(Duration t) {
  constexpr std::int64_t second = 1'000'000'000;
  std::uint32_t word = 0x10000;
  if (t.ns >= second) word |= 0x80000;
  if (t.ns > 0 && t.ns / second % 4 == 1) word |= 0x8;
  return word;
}

// A cell of the device tree: 32 bits, big end first.
std::string cell(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xff);
  return bytes;
}

}  // namespace

void RoomBuilder::raspberry(int model, const PowerCurve& load) {
  const bool five = model == 5;
  const std::string product = five ? "Raspberry Pi 5 Model B Rev 1.0" : "Raspberry Pi 4 Model B Rev 1.1";
  const double most_khz = five ? 2'400e3 : 1'800e3;
  processors({4,
              std::string("CPU implementer\t: 0x41\nCPU part\t: ") + (five ? "0xd0b" : "0xd08") +
                  "\n\nRevision\t: " + (five ? "d04170" : "c03111") + "\nModel\t\t: " + product,
              five ? 1'500e3 : 600e3, most_khz},
             load);
  machine_facts(five ? 8'192 : 4'096, product, true);
  files_.set_file("/sys/firmware/devicetree/base/chosen/bootloader/build-timestamp", cell(1'727'094'176));
  text("/sys/firmware/devicetree/base/chosen/bootloader/version", "0123456789abcdef0123456789abcdef01234567");
  PowerCurve whole = PowerCurve::constant(Watts(0)), memory = whole;
  for (const Rail& rail : rails) {
    const auto one = curve_of(rail, load);
    whole = whole.plus(one);
    std::string domain = rail.name;
    std::transform(domain.begin(), domain.end(), domain.begin(), [](char c) {
      return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    });
    if (domain.starts_with("ddr")) memory = memory.plus(one);
    if (five) truth(domain == "vdd-core" ? "core" : domain, one);
  }
  if (five) {
    truth("dram", memory);
    truth("rails", whole);
    chip("hwmon0", "pwmfan");
    text("/sys/class/hwmon/hwmon0/fan1_input", "3180");
    text("/sys/bus/pci/devices/0001:01:00.0/class", "0x010802");
    text("/sys/bus/pci/devices/0001:01:00.0/current_link_speed", "8.0 GT/s PCIe");
    text("/sys/bus/pci/devices/0001:01:00.0/current_link_width", "1");
  } else {
    truth("cpu", whole.scaled(0.8));
  }
  thermal_zone(0, "cpu-thermal", whole, 38, five ? 5.5 : 6.5);
  const auto time = shown_time();
  const auto hertz = [load, most_khz](Duration t) {
    return static_cast<std::uint32_t>(
        std::llround(most_khz * 1e3 * (0.6 + 0.4 * std::min(1.0, load.watts(t).value()))));
  };
  const std::uint32_t core_hz = five ? 910'000'000 : 500'000'000, v3d_hz = five ? 960'000'000 : 500'000'000;
  const auto celsius = [whole](Duration t) { return 38 + 5.5 * whole.watts(t).value(); };
  FirmwareAnswers answers;
  answers.command = [=](std::string_view command, Instant now) -> std::optional<std::string> {
    const auto t = time(now);
    if (command == "pmic_read_adc" && five) return rails_text(load, t);
    if (command == "measure_temp") return "temp=" + format_fixed(celsius(t), 1) + "'C";
    if (command == "measure_clock arm") return "frequency(0)=" + std::to_string(hertz(t));
    if (command == "measure_clock core") return "frequency(1)=" + std::to_string(core_hz);
    if (command == "measure_clock v3d") return "frequency(46)=" + std::to_string(v3d_hz);
    if (command == "measure_volts core") return std::string("volt=0.8600V");
    if (command == "version") return std::string("2024/09/23 14:02:56 \nCopyright (c) 2012 Broadcom\nversion 26826259");
    if (command == "get_config arm_boost") return std::string("arm_boost=1");
    if (command != "get_throttled") return std::nullopt;
    std::array<char, 16> word{};
    std::snprintf(word.data(), word.size(), "0x%x", throttle_word(t));
    return "throttled=" + std::string(word.data());
  };
  answers.tag = [=](std::uint32_t tag, std::uint32_t request, Instant now) -> std::optional<std::uint32_t> {
    const auto t = time(now);
    if (tag == 0x30006) return static_cast<std::uint32_t>(std::llround(celsius(t) * 1e3));
    if (tag == 0x30047 && request == 3) return hertz(t);
    if (tag == 0x30047 && request == 4) return core_hz;
    if (tag == 0x30047 && request == 5) return v3d_hz;
    if (tag == 0x30046) return throttle_word(t);
    return std::nullopt;
  };
  files_.set_device("/dev/vcio", firmware_device(std::move(answers)));
  fault_for("/dev/vcio");
}

}  // namespace prony
