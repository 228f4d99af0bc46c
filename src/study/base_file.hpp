// Where a study's base comes from: its own [base], and another file that it names. Pure; of this part alone.
#pragma once

#include <string>
#include <vector>

#include "study/axes.hpp"
#include "study/plan.hpp"

namespace prony::study {

// The table of settings that the other file gives: its [base], or all of it. Null: the study names no file. Errors:
// usage, where it was not read, names a further one, or is a study without a base.
[[nodiscard]] Result<const Value*> table_of_base_file(const Value& root, const std::string& file,
                                                      const std::optional<BaseFile>& given);
// Of both; those of the study itself come last, so that they win.
[[nodiscard]] Result<std::vector<Setting>> base_settings(const Value& root, const std::string& file,
                                                         const std::optional<BaseFile>& given, const Vocabulary& words,
                                                         Kind kind);

}  // namespace prony::study
