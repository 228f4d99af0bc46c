// The machines that were recorded into tests/machines, by their folder's name.
#pragma once

#include <memory>
#include <string>

#include "machine/machine.hpp"

namespace prony {

inline std::unique_ptr<Machine> kept_machine(const std::string& name) {
  return make_captured_machine(std::string(PRONY_SOURCE_DIR) + "/tests/machines/" + name);
}

}  // namespace prony
