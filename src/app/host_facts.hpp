// What the doctor wants to know of this very machine and lies outside the Machine port: the NTP state, how late timers
// are, the place where Runs go. Thread promise: one thread; takes about a tenth of a second.
#pragma once

#include <filesystem>

#include "doctor/doctor.hpp"

namespace prony::app {

// `runs`: the folder where Runs go; need not exist yet.
[[nodiscard]] doctor::HostFacts gather_host_facts(const std::filesystem::path& runs);

}  // namespace prony::app
