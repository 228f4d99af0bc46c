// Facts of the machine for the manifest, all under "machine.": processor (cpu_model, cpu_family, microcode, sockets,
// cores, smt …), board and firmware, kernel and those of its options that change power, what governs clocks, limits of
// clock and power, memory, swap, NUMA nodes, clock source, power source, container or virtual machine and what it
// cannot see. Never a serial number, UUID or address. What is not known is left out. Thread promise: as Machine.
#pragma once

#include <string>

#include "machine/machine.hpp"
#include "model/manifest.hpp"

namespace prony {

void describe_machine(Machine& machine, Manifest& manifest);

// The parts of it, each in its own file.
void describe_power(Machine& machine, Manifest& manifest);      // governor, driver, boost, limits, mains or battery
void describe_raspberry(Machine& machine, Manifest& manifest);  // revision, EEPROM, boost, held back since it began
void describe_virtual(Machine& machine, Manifest& manifest);    // virtual machine, container, their limits

void describe_jetson(Machine& machine, Manifest& manifest);  // release, power mode, clocks held, what rails cover

// Options of the kernel's command line that change power or timing ("mitigations=off idle=poll"); the rest may hold
// secrets and is left out. Pure.
[[nodiscard]] std::string power_options(std::string_view command_line);

}  // namespace prony
