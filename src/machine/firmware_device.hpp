// A firmware's mailbox for simulated machines: takes messages of the Raspberry Pi's property interface apart and
// answers their tags, so that a sensor's encoding is held against somebody else's. Layout:
// github.com/raspberrypi/firmware/wiki, "Mailbox property interface"; what is refused: drivers/char/broadcom/vcio.c of
// Raspberry Pi's kernel. Thread promise: what the given functions promise.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "machine/simulated.hpp"

namespace prony {

struct FirmwareAnswers {
  // The general command's answer, e.g. to "measure_temp"; nullopt: no such command.
  std::function<std::optional<std::string>(std::string_view command, Instant now)> command;
  // A tag's value word behind its identifier, if it has one; nullopt: the firmware leaves this tag unanswered.
  std::function<std::optional<std::uint32_t>(std::uint32_t tag, std::uint32_t request, Instant now)> tag = {};
  bool commands_only = false;  // as /dev/vcio_gencmd: any other tag is refused
};
[[nodiscard]] SimulatedMachine::Control firmware_device(FirmwareAnswers answers);

}  // namespace prony
