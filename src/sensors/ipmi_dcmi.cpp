#include "sensors/ipmi_dcmi.hpp"

#include "base/text.hpp"

namespace prony {

namespace {

std::uint32_t little_end(std::span<const std::uint8_t> bytes) noexcept {
  std::uint32_t value = 0;
  for (std::size_t i = bytes.size(); i > 0; --i) value = value << 8 | bytes[i - 1];
  return value;
}

// The number that a line has behind its colon, and the word behind that.
struct Amount {
  std::uint64_t number = 0;
  std::string_view unit;
};
std::optional<Amount> amount_of(std::string_view line) noexcept {
  const auto colon = line.find(':');
  const auto value = trim(colon == std::string_view::npos ? line : line.substr(colon + 1));
  const auto end = value.find_first_not_of("0123456789");
  const auto number = parse_u64(value.substr(0, end));
  if (!number || *number > UINT32_MAX) return std::nullopt;
  return Amount{*number, end == std::string_view::npos ? std::string_view() : trim(value.substr(end))};
}

}  // namespace

// Completion code, group, current, least, most, average (16 bits), time stamp, period (32 bits), state (bit 6: active).
std::optional<DcmiPower> dcmi_power(std::span<const std::uint8_t> answer) noexcept {
  constexpr std::size_t whole = 19;
  if (answer.size() < whole || answer[0] != 0 || answer[1] != dcmi_power_request[0]) return std::nullopt;
  return DcmiPower{little_end(answer.subspan(2, 2)), little_end(answer.subspan(8, 2)),
                   little_end(answer.subspan(14, 4)), (answer[18] & 0x40) != 0};
}

std::optional<DcmiPower> dcmi_power(std::string_view printed) noexcept {
  DcmiPower power;
  bool told = false;
  while (!printed.empty()) {
    const auto end = printed.find('\n');
    const auto line = trim(printed.substr(0, end));
    printed.remove_prefix(end == std::string_view::npos ? printed.size() : end + 1);
    const auto amount = amount_of(line);
    if (line.starts_with("Power reading state")) {
      power.active = line.ends_with("activated") && !line.ends_with("deactivated");
    } else if (!amount) {
      continue;
    } else if (line.starts_with("Instantaneous power reading") && amount->unit == "Watts") {
      power.now_w = static_cast<std::uint32_t>(amount->number);
      told = true;
    } else if (line.starts_with("Average power reading") && amount->unit == "Watts") {
      power.average_w = static_cast<std::uint32_t>(amount->number);
    } else if (line.starts_with("Sampling period")) {
      // Older programs say seconds, newer ones milliseconds.
      const bool seconds = amount->unit.starts_with("Sec");
      const auto ms = amount->number * (seconds ? 1000 : 1);
      if ((seconds || amount->unit.starts_with("Milli")) && ms <= UINT32_MAX)
        power.period_ms = static_cast<std::uint32_t>(ms);
    }
  }
  return told ? std::optional(power) : std::nullopt;
}

std::string ipmi_completion_words(std::uint8_t code) {
  switch (code) {
    case 0x00: return "the BMC's answer is not one to this question";
    case 0xc0: return "the BMC is busy";
    case 0xc1: return "the BMC does not know the command: it has no DCMI";
    case 0xc3: return "the BMC had no answer in time";
    case 0xc6:
    case 0xc7: return "the BMC says that the question has a wrong length";
    case 0xcb: return "the BMC says that it has no such sensor";
    case 0xcc: return "the BMC says that it measures no power";
    case 0xd4: return "the BMC answers that to others only: insufficient privilege";
    case 0xd5: return "the BMC cannot do that in its present state";
    case 0xff: return "the BMC met an error that it does not name";
    default: break;
  }
  constexpr std::string_view digits = "0123456789abcdef";
  return std::string("the BMC refused with completion code 0x") + digits[code >> 4] + digits[code & 15];
}

}  // namespace prony
