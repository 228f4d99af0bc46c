// Firmware: what answers for a Raspberry Pi's board, reached by the mailbox's device or by the program vcgencmd.
//   /dev/vcio         every tag of the property interface; as a rule for root and the group video
//   /dev/vcio_gencmd  newer kernels: the general command's tag alone, for the group video
//   vcgencmd          where neither can be opened: run off the tick, so that its answers are up to a second old
// MailboxMessage: one message of the property interface. Sources: github.com/raspberrypi/firmware/wiki,
// "Mailbox property interface" (layout, tags 0x00030006 temperature, 0x00030046 throttled, 0x00030047 clocks as
// measured); drivers/char/broadcom/vcio.c of Raspberry Pi's kernel (control, permitted tags); vcgencmd.c of
// github.com/raspberrypi/utils (tag 0x00030080, general command). Thread promise: ask() and conditions() from one
// thread; refresh() and take_fault() from any one other. Ownership: owns its device; the Machine must outlive it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "machine/machine.hpp"

namespace prony {

// What is asked, in words that the mailbox's general command and vcgencmd both take.
enum class Question { rails, temperature, arm_clock, core_clock, v3d_clock, core_volts, throttled };
inline constexpr std::size_t question_count = 7;
[[nodiscard]] std::string_view words_of(Question question) noexcept;  // "pmic_read_adc"

inline constexpr std::size_t firmware_text_bytes = 4096;
using FirmwareText = std::array<char, firmware_text_bytes>;

// Numbers that hold now; absent: not told.
struct FirmwareConditions {
  std::optional<std::int64_t> temperature_mc;  // 1/1000 °C
  std::optional<std::int64_t> arm_hz;          // of the ARM cores, as measured; so are the others
  std::optional<std::int64_t> core_hz;         // of the VideoCore, on which caches and memory hang
  std::optional<std::int64_t> v3d_hz;          // of the graphics processor
  std::optional<std::int64_t> core_uv;
  std::optional<std::uint32_t> throttled;  // see raspberry_text.hpp
};

class Firmware {
 public:
  virtual ~Firmware() = default;
  // The answer's text, in `buffer`; empty: there is none, and take_fault() tells why. No allocation.
  [[nodiscard]] virtual std::string_view ask(Question question, FirmwareText& buffer) noexcept = 0;
  // All of them by as few messages as there can be. No allocation.
  [[nodiscard]] virtual FirmwareConditions conditions(FirmwareText& buffer) noexcept;
  // Off the tick, about once a second: asks a program for what ask() is to give.
  virtual void refresh() {}
  // Any command, off the tick; may allocate and wait.
  [[nodiscard]] virtual Result<std::string> command(const std::string& words) = 0;
  [[nodiscard]] virtual std::string name() const = 0;           // "/dev/vcio", "vcgencmd"
  [[nodiscard]] virtual bool answers_are_kept() const = 0;      // true: they are as old as the last refresh()
  [[nodiscard]] virtual std::optional<Error> take_fault() = 0;  // why answers were absent since this was last asked
};

// The first that answers. Errors: absent (no Raspberry Pi), denied, unavailable; with what to do.
[[nodiscard]] Result<std::unique_ptr<Firmware>> open_firmware(Machine& machine);

// A Raspberry Pi by its device tree, or by a device of its firmware.
[[nodiscard]] bool is_raspberry(Machine& machine);

// One message: size, status, tags (number, bytes of value, request or response, value), end. Words of 32 bits.
class MailboxMessage {
 public:
  static constexpr std::uint32_t general_command = 0x0003'0080, get_temperature = 0x0003'0006,
                                 get_throttled = 0x0003'0046, get_clock_measured = 0x0003'0047;
  static constexpr std::uint32_t success = 0x8000'0000, arm_clock = 3, core_clock = 4, v3d_clock = 5;
  static constexpr std::size_t text_value_bytes = 4 + firmware_text_bytes;  // an error word, then the text

  void begin() noexcept { used_ = 2; }
  // Appends a tag whose value takes `bytes` (a multiple of 4) and begins with `request`; where its value begins.
  std::size_t add(std::uint32_t tag, std::size_t bytes, std::span<const std::uint32_t> request) noexcept;
  // The general command with these words; where its value begins.
  std::size_t add_command(std::string_view words) noexcept;
  // The whole message, ended; the device writes its answer into it.
  [[nodiscard]] std::span<std::byte> finish() noexcept;

  [[nodiscard]] std::uint32_t word(std::size_t at) const noexcept { return words_[at]; }
  // The firmware took the message, and answered the tag whose value begins at `at`.
  [[nodiscard]] bool answered(std::size_t at) const noexcept {
    return words_[1] == success && (words_[at - 1] & success) != 0;
  }
  // The text behind a general command's error word; empty: an error, or what was asked came back unanswered.
  [[nodiscard]] std::string_view text(std::size_t at, std::string_view asked) const noexcept;

 private:
  std::array<std::uint32_t, 2 + 3 + text_value_bytes / 4 + 1> words_{};
  std::size_t used_ = 2;
};

}  // namespace prony
