// A configuration of LLenergyMeasure as a study: of its thesis (JSON, flat), of `lem` (YAML, `model_name`) or of `llem`
// (YAML, `task`, an engine's block, `sweep`, `experiments`). Each key is taken over, or named with the reason why it
// was not; among these are the keys that its own programs read and never used. Pure. Thread promise: plain values.
// Errors: malformed, where none of the three is to be recognised. Source: the schemas of its published sources.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "study/value.hpp"

namespace prony::study {

struct TakenOver {
  std::string generation;          // "thesis", "lem", "llem"
  std::string toml;                // a whole study, the keys that were left out named in its comments
  std::vector<std::string> kept;   // keys that went into it
  std::vector<std::string> named;  // "key (line 3): why it was not taken over"
};
[[nodiscard]] Result<TakenOver> from_llenergymeasure(const Value& file, const std::string& name);

}  // namespace prony::study
