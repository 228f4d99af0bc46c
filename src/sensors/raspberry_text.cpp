#include "sensors/raspberry_text.hpp"

#include <array>
#include <charconv>

#include "base/text.hpp"

namespace prony {

namespace {

// What stands behind the first '=', up to what is no part of a number.
std::optional<std::string_view> value_of(std::string_view text, std::string_view key) noexcept {
  text = trim(text);
  if (!text.starts_with(key)) return std::nullopt;
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  // Between the key and '=' only an index: "frequency(48)=".
  for (const char c : text.substr(key.size(), equals - key.size()))
    if (c != '(' && c != ')' && c != ' ' && (c < '0' || c > '9')) return std::nullopt;
  text.remove_prefix(equals + 1);
  return trim(text.substr(0, text.find_first_of("\r\n")));
}

// The digits at the beginning, if what follows is one of these units or nothing.
std::optional<std::string_view> number_with(std::string_view value, std::string_view unit) noexcept {
  const auto end = value.find_first_not_of("0123456789.");
  const auto rest = end == std::string_view::npos ? std::string_view() : trim(value.substr(end));
  if (!rest.empty() && rest != unit) return std::nullopt;
  return value.substr(0, end);
}

std::optional<std::uint32_t> hexadecimal(std::string_view digits) noexcept {
  if (digits.starts_with("0x") || digits.starts_with("0X")) digits.remove_prefix(2);
  if (digits.empty() || digits.size() > 8) return std::nullopt;
  std::uint32_t value = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) return std::nullopt;
  return value;
}

constexpr std::string_view board_type(std::uint32_t type) noexcept {
  switch (type) {
    case 0x00: return "Model A";
    case 0x01: return "Model B";
    case 0x02: return "Model A+";
    case 0x03: return "Model B+";
    case 0x04: return "2 Model B";
    case 0x06: return "Compute Module 1";
    case 0x08: return "3 Model B";
    case 0x09: return "Zero";
    case 0x0a: return "Compute Module 3";
    case 0x0c: return "Zero W";
    case 0x0d: return "3 Model B+";
    case 0x0e: return "3 Model A+";
    case 0x10: return "Compute Module 3+";
    case 0x11: return "4 Model B";
    case 0x12: return "Zero 2 W";
    case 0x13: return "400";
    case 0x14: return "Compute Module 4";
    case 0x15: return "Compute Module 4S";
    case 0x17: return "5 Model B";
    case 0x18: return "Compute Module 5";
    case 0x19: return "500";
    case 0x1a: return "Compute Module 5 Lite";
    default: return {};
  }
}

std::string hexadecimal_text(std::uint32_t value) {
  std::array<char, 8> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, 16).ptr;
  return "0x" + std::string(digits.data(), end);
}

}  // namespace

std::optional<std::string_view> next_line(std::string_view& text) noexcept {
  if (text.empty()) return std::nullopt;
  const auto end = text.find('\n');
  const auto line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return trim(line);
}

std::optional<std::int64_t> scaled_decimal(std::string_view digits, int places) noexcept {
  constexpr std::int64_t most = 1'000'000'000;
  std::int64_t whole = 0;
  std::size_t i = 0;
  for (; i < digits.size() && digits[i] >= '0' && digits[i] <= '9'; ++i) {
    whole = whole * 10 + (digits[i] - '0');
    if (whole > most) return std::nullopt;
  }
  if (i == 0) return std::nullopt;
  if (i < digits.size() && digits[i++] != '.') return std::nullopt;
  bool up = false;
  for (int place = 0; place <= places; ++place) {
    const char c = i < digits.size() ? digits[i] : '0';
    if (c < '0' || c > '9') return std::nullopt;
    if (i < digits.size()) ++i;
    if (place < places)
      whole = whole * 10 + (c - '0');
    else
      up = c >= '5';
  }
  for (; i < digits.size(); ++i)
    if (digits[i] < '0' || digits[i] > '9') return std::nullopt;
  return whole + (up ? 1 : 0);
}

std::optional<RailLine> rail_line(std::string_view line) noexcept {
  line = trim(line);
  const auto name = line.substr(0, line.find_first_of(" \t"));
  if (name.size() < 3 || name.size() > 40) return std::nullopt;
  const auto suffix = name.substr(name.size() - 2);
  if (suffix != "_A" && suffix != "_V") return std::nullopt;
  for (const char c : name)
    if (c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')) return std::nullopt;
  const bool is_current = suffix == "_A";
  const auto value = value_of(line.substr(name.size()), is_current ? "current" : "volt");
  if (!value) return std::nullopt;
  const auto digits = number_with(*value, is_current ? "A" : "V");
  const auto micro = digits ? scaled_decimal(*digits, 6) : std::nullopt;
  constexpr std::int64_t most = 1'000'000'000;  // a thousand volts or amperes are none of a board's
  if (!micro || *micro > most) return std::nullopt;
  return RailLine{name.substr(0, name.size() - 2), is_current, *micro};
}

std::optional<std::int64_t> temperature_of(std::string_view text) noexcept {
  const auto value = value_of(text, "temp");
  const auto digits = value ? number_with(*value, "'C") : std::nullopt;
  return digits ? scaled_decimal(*digits, 3) : std::nullopt;
}

std::optional<std::int64_t> frequency_of(std::string_view text) noexcept {
  const auto value = value_of(text, "frequency");
  const auto hertz = value ? parse_u64(*value) : std::nullopt;
  if (!hertz || *hertz > 100'000'000'000) return std::nullopt;
  return static_cast<std::int64_t>(*hertz);
}

std::optional<std::int64_t> microvolts_of(std::string_view text) noexcept {
  const auto value = value_of(text, "volt");
  const auto digits = value ? number_with(*value, "V") : std::nullopt;
  return digits ? scaled_decimal(*digits, 6) : std::nullopt;
}

std::optional<std::uint32_t> throttled_of(std::string_view text) noexcept {
  const auto value = value_of(text, "throttled");
  return value ? hexadecimal(*value) : std::nullopt;
}

std::string firmware_error(std::string_view text) {
  text = trim(text);
  constexpr std::string_view message = "error_msg=";
  if (const auto at = text.find(message); at != std::string_view::npos) {
    auto words = text.substr(at + message.size());
    words = trim(words.substr(0, words.find('\n')));
    if (words.size() > 1 && words.front() == '"' && words.back() == '"') words = words.substr(1, words.size() - 2);
    return printable(words, 80);
  }
  for (const std::string_view sign :
       {"error=", "Can't open", "VCHI initialization failed", "vc_gencmd_read_response", "ioctl_set_msg failed"})
    if (text.starts_with(sign)) return printable(text.substr(0, text.find('\n')), 80);
  return {};
}

std::string throttle_words(std::uint32_t reasons) {
  static constexpr std::array<std::string_view, 4> words{"under-voltage", "clock capped", "throttled",
                                                         "soft temperature limit"};
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i)
    if ((reasons >> i & 1U) != 0) text += (text.empty() ? "" : ", ") + std::string(words[i]);
  return text.empty() ? "none" : text;
}

std::optional<std::uint32_t> revision_of(std::string_view text) noexcept { return hexadecimal(trim(text)); }

// NOQuuuWuFMMMCCCCPPPPTTTTTTTTRRRR: F new style, M memory, C maker, P processor, T type, R revision.
std::string revision_words(std::uint32_t code) {
  const auto digits = hexadecimal_text(code);
  if ((code >> 23 & 1U) == 0) return "old-style revision code " + digits;
  static constexpr std::array<std::string_view, 6> makers{"Sony UK",    "Egoman", "Embest",
                                                          "Sony Japan", "Embest", "Stadium"};
  static constexpr std::array<std::string_view, 5> processors{"BCM2835", "BCM2836", "BCM2837", "BCM2711", "BCM2712"};
  const auto type = board_type(code >> 4 & 0xff);
  const std::size_t maker = code >> 16 & 0xf, processor = code >> 12 & 0xf;
  const unsigned memory = code >> 20 & 7;
  std::string words = type.empty() ? "unknown Raspberry Pi" : "Raspberry Pi " + std::string(type);
  words += ", revision 1." + std::to_string(code & 0xf);
  if (memory <= 6)
    words += memory < 2 ? ", " + std::to_string(256U << memory) + " MiB"
                        : ", " + std::to_string(1U << (memory - 2)) + " GiB";
  if (processor < processors.size()) words += ", " + std::string(processors[processor]);
  if (maker < makers.size()) words += ", made by " + std::string(makers[maker]);
  return words + " (" + digits + ")";
}

}  // namespace prony
