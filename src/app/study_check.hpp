// Whether the runs of a plan can be asked for at all: their options as `prony llm` and `prony run` take them, what of
// them contradicts itself, their engines by name. So it is told once, before anything runs, and not as a failed run for
// each variant.
// Thread promise: one thread. Errors: usage, with the variant and the line of what is wrong.
#pragma once

#include <string>

#include "base/result.hpp"
#include "study/plan.hpp"

namespace prony::app {

// `file`: the study's name, for errors.
[[nodiscard]] Result<void> check_variants(const study::Plan& plan, const std::string& file);

}  // namespace prony::app
