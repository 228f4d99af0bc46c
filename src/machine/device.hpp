// The live machine's devices and programs, for live.cpp. Thread promise, ownership, errors: as Device and Machine.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "machine/machine.hpp"

namespace prony {

[[nodiscard]] Result<std::unique_ptr<Device>> open_live_device(const std::string& path);
[[nodiscard]] Result<ProgramOutput> run_live_program(std::span<const std::string> arguments, Duration most);

}  // namespace prony
