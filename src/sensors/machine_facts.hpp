// Facts of the machine for the manifest: machine.cpu_model, .cpus, .kernel, .hostname, .virtual, .board, .cpu_source.
// What is not known is left out. Thread promise: as Machine.
#pragma once

#include "machine/machine.hpp"
#include "model/manifest.hpp"

namespace prony {

void describe_machine(Machine& machine, Manifest& manifest);

}  // namespace prony
