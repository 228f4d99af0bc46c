// Watts per logical CPU by processor family: the coefficients of the modelled channel.
//
// Figures: SPECpower_ssj2008 results as published by SPEC (whole server at the wall, at active idle and at 100 %),
// divided by the server's hardware threads, taken over all results whose processor belongs to the family. Value =
// median; high = 95th percentile; low = half of the 5th percentile, because memory, fans and power supply are inside
// the wall figure and a package alone draws no less than about half of it. Results and family lists come from
// cloud-carbon-footprint/ccf-coefficients, commit b0032d9 (2026-04-24), Apache-2.0.
// They are wide ranges, not measurements of this machine. Thread promise: pure functions.
#pragma once

#include <string>

#include "machine/machine.hpp"
#include "model/channel.hpp"

namespace prony {

// What /proc/cpuinfo says of the processor.
struct ProcessorId {
  std::string vendor;       // "GenuineIntel", "AuthenticAMD"; on Arm the implementer: "0x41"
  std::string model_name;   // "Intel(R) Xeon(R) Processor"; empty on Arm
  int family = -1;          // x86
  int model = -1;           // x86; on Arm the part number
  bool hypervisor = false;  // x86 flag: runs in a virtual machine
};
[[nodiscard]] ProcessorId processor_id(std::string_view cpuinfo);
[[nodiscard]] ProcessorId processor_id(Machine& machine);

// Coefficients for `cpus` logical CPUs of this processor: the family's row, or the widest range, said in the name. In a
// virtual machine the upper bound of `full` doubles: a visible CPU that runs alone on its core has the core's power,
// and nobody can see the sibling.
[[nodiscard]] PowerModel power_model_for(const ProcessorId& processor, unsigned cpus);

}  // namespace prony
