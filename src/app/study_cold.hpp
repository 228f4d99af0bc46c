// What makes the next start a cold one, as far as this machine's memory goes: the files that a run loads its model from
// are dropped from the kernel's memory of files. A server gives its own copy up by `prony llm --cold`. Thread promise:
// one thread. Errors: as of files.
#pragma once

#include <optional>
#include <string>

#include "base/result.hpp"
#include "study/plan.hpp"

namespace prony::app {

struct ColdModel {
  std::optional<double> held_share;  // of the files' bytes, still in memory; nothing: which files they are is not known
  std::string doubt;                 // why this start may be warmer than it looks; "": none
};

// Errors: usage, where of this engine no start can be made a cold one.
[[nodiscard]] Result<ColdModel> make_cold(const study::Variant& variant);

}  // namespace prony::app
