// What the firmware of a Raspberry Pi answers, in words and numbers: pure functions over its texts, which vcgencmd
// prints and the mailbox gives alike. Tolerant of what firmwares write differently (padding, order, index, missing
// unit); what is no decimal number is refused, so that "2400023808" is never read as hexadecimal. Units: micro-volts
// and micro-amperes, 1/1000 °C, Hz. Thread promise: pure; nothing but the functions that return strings allocates.
// Source: vcgencmd(1) of Raspberry Pi's utils (texts, throttle bits); raspberrypi.com, "Raspberry Pi revision codes".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace prony {

// One line of `pmic_read_adc`: "VDD_CORE_A current(7)=1.11625000A". The rail is the name without its last letters.
struct RailLine {
  std::string_view rail;    // "VDD_CORE"
  bool is_current = false;  // else a voltage
  std::int64_t micro = 0;   // µA or µV
};
[[nodiscard]] std::optional<RailLine> rail_line(std::string_view line) noexcept;

// Takes the next line off `text`; nullopt: there is none.
[[nodiscard]] std::optional<std::string_view> next_line(std::string_view& text) noexcept;

// A decimal number times 10^places, rounded; nullopt: not one, negative, or above 10^9.
[[nodiscard]] std::optional<std::int64_t> scaled_decimal(std::string_view digits, int places) noexcept;

[[nodiscard]] std::optional<std::int64_t> temperature_of(std::string_view text) noexcept;  // "temp=61.5'C" → 61500
[[nodiscard]] std::optional<std::int64_t> frequency_of(std::string_view text) noexcept;    // "frequency(0)=2400023808"
[[nodiscard]] std::optional<std::int64_t> microvolts_of(std::string_view text) noexcept;   // "volt=0.8563V" → 856300
[[nodiscard]] std::optional<std::uint32_t> throttled_of(std::string_view text) noexcept;   // "throttled=0x50000"
// What the firmware says instead of an answer ("Command not registered"), or vcgencmd of its device; "": no complaint.
[[nodiscard]] std::string firmware_error(std::string_view text);

// The throttle word. Low half: what holds now; high half, the same bits 16 higher: what has held since the board began.
inline constexpr std::uint32_t throttle_reasons = 0xf;
[[nodiscard]] constexpr std::uint32_t throttled_now(std::uint32_t word) noexcept { return word & throttle_reasons; }
[[nodiscard]] constexpr std::uint32_t throttled_since_boot(std::uint32_t word) noexcept {
  return (word >> 16) & throttle_reasons;
}
// "under-voltage, clock capped"; "none" for 0. Takes one half.
[[nodiscard]] std::string throttle_words(std::uint32_t reasons);

// "Raspberry Pi 5 Model B, revision 1.0, 8 GiB, BCM2712, made by Sony UK"; of an old-style code its digits alone.
[[nodiscard]] std::string revision_words(std::uint32_t code);
[[nodiscard]] std::optional<std::uint32_t> revision_of(std::string_view hexadecimal) noexcept;  // "d04170"

}  // namespace prony
