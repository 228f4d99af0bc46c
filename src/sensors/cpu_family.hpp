// Which family a processor belongs to: by what board it sits on, by the name it tells, or by its CPUID numbers. Names
// come first because one number covers several families (6/0x55 is Skylake, Cascade Lake and Cooper Lake; 17h/0x31 EPYC
// and Threadripper); virtual machines often tell no name, then the number decides.
// Sources: arch/x86/include/asm/intel-family.h, arch/x86/kernel/cpu/amd.c, arch/arm64/include/asm/cputype.h; the name
// schemes as the vendors document them, held against the lists of cloud-carbon-footprint/ccf-coefficients by test.
// Thread promise: pure functions, and one that reads a Machine (as Machine).
#pragma once

#include <string>
#include <string_view>

#include "machine/machine.hpp"

namespace prony {

// What /proc/cpuinfo, and the device tree where there is one, say of the processor.
struct ProcessorId {
  std::string vendor;       // "GenuineIntel", "AuthenticAMD"; on Arm the implementer: "0x41"
  std::string model_name;   // "Intel(R) Xeon(R) Processor"; empty on Arm
  std::string board;        // device tree: "Raspberry Pi 4 Model B Rev 1.4"; empty elsewhere
  int family = -1;          // x86
  int model = -1;           // x86; on Arm the part number
  int stepping = -1;        // x86; on Arm the revision
  bool hypervisor = false;  // x86 flag: runs in a virtual machine
  unsigned packages = 0;    // distinct physical ids; 0: not told
  unsigned cores = 0;       // cores of one package; 0: not told
};
[[nodiscard]] ProcessorId processor_id(std::string_view cpuinfo);
[[nodiscard]] ProcessorId processor_id(Machine& machine);

// Key of a row of cpu_power_rows.hpp; empty: not known.
[[nodiscard]] std::string_view cpu_family(const ProcessorId& processor);
[[nodiscard]] std::string_view cpu_family_of_name(std::string_view model_name);
[[nodiscard]] std::string_view cpu_family_of_number(const ProcessorId& processor);

}  // namespace prony
