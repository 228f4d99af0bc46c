// Kernels of a trace that Nsight Systems wrote as SQLite (`nsys export --type sqlite`), with the named range in which
// each was launched. Errors: malformed (not such a file), absent (no kernels).
#pragma once

#include <string>

#include "base/result.hpp"
#include "layers/recording.hpp"

namespace prony::app {

[[nodiscard]] Result<layers::Recording> read_nsys(const std::string& path);

}  // namespace prony::app
