// How a study file says what is not a setting: [study] and [gate]. Pure; of this part alone.
#pragma once

#include <string>

#include "study/plan.hpp"

namespace prony::study {

struct StudyHead {
  std::string& name;
  Kind& kind;
  bool& one_factor;
  Execution& execution;
};
[[nodiscard]] Result<void> read_head(const Value& table, const std::string& file, StudyHead head);
[[nodiscard]] Result<void> read_gate(const Value& table, const std::string& file, Execution& execution);

}  // namespace prony::study
