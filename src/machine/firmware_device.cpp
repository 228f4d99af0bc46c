#include "machine/firmware_device.hpp"

#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

namespace prony {

namespace {

constexpr unsigned long property_control = _IOWR(100, 0, char*);
constexpr std::uint32_t general_command = 0x30080, answered = 0x8000'0000;

std::uint32_t word_at(std::span<const std::byte> bytes, std::size_t at) {
  std::uint32_t word = 0;
  std::memcpy(&word, &bytes[at], sizeof word);
  return word;
}
void put(std::span<std::byte> bytes, std::size_t at, std::uint32_t word) {
  std::memcpy(&bytes[at], &word, sizeof word);
}

// The value of one tag: its answer in the place of the request. False: left as it is.
bool answer_tag(const FirmwareAnswers& answers, std::uint32_t tag, std::span<std::byte> value, Instant now) {
  if (tag == general_command) {
    if (value.size() < 8) return false;
    const auto* const text = reinterpret_cast<const char*>(&value[4]);
    const std::string command(text, ::strnlen(text, value.size() - 5));
    const auto said = answers.command ? answers.command(command, now) : std::nullopt;
    const std::string words = said ? *said : "error=1 error_msg=\"Command not registered\"";
    put(value, 0, 0);
    const auto room = value.subspan(4);
    std::fill(room.begin(), room.end(), std::byte{});
    std::memcpy(room.data(), words.data(), std::min(words.size(), room.size() - 1));
    return true;
  }
  if (value.size() < 4 || !answers.tag) return false;
  const auto number = answers.tag(tag, word_at(value, 0), now);
  if (!number) return false;
  put(value, value.size() >= 8 ? 4 : 0, *number);
  return true;
}

}  // namespace

SimulatedMachine::Control firmware_device(FirmwareAnswers answers) {
  return [answers = std::move(answers)](unsigned long request, std::span<std::byte> data, Instant now) {
    if (request != property_control) return -EINVAL;
    if (data.size() < 12 || data.size() % 4 != 0) return -EFAULT;
    const std::size_t size = word_at(data, 0);
    if (size < 12 || size > data.size() || word_at(data, 4) != 0) return -EINVAL;
    for (std::size_t at = 8; at + 12 <= size;) {
      const auto tag = word_at(data, at), bytes = word_at(data, at + 4);
      if (tag == 0) break;
      if (bytes > size - at - 12) return -EINVAL;
      if (answers.commands_only && tag != general_command) return -EPERM;
      if (answer_tag(answers, tag, data.subspan(at + 12, bytes), now)) put(data, at + 8, answered | bytes);
      at += 12 + (bytes + 3) / 4 * 4;
    }
    put(data, 4, answered);
    return 0;
  };
}

}  // namespace prony
