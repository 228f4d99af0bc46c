// A variable of the environment; "" where it is not set. Thread promise: while nobody sets one.
#pragma once

#include <cstdlib>
#include <string>

namespace prony::app {

[[nodiscard]] inline std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace prony::app
