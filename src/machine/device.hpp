// The live machine's devices and programs, for live.cpp and for who runs commands of the user's. Thread promise,
// ownership, errors: as Device and Machine.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>

#include "machine/machine.hpp"

namespace prony {

[[nodiscard]] Result<std::unique_ptr<Device>> open_live_device(const std::string& path);
// `stop`: not 0 ends it before its time, too; may be null.
[[nodiscard]] Result<ProgramOutput> run_live_program(std::span<const std::string> arguments, Duration most,
                                                     const std::atomic<int>* stop = nullptr);

}  // namespace prony
