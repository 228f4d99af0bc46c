// What one run of a study came to, from its Run file alone: whether it counts, its figures, and what was asked for and
// not honoured. Thread promise: one thread. Pure but for reading the Run.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/study_folder.hpp"
#include "study/plan.hpp"

namespace prony::app {

struct StudyVerdict {
  bool good = false;
  std::string reason;  // why it does not count
  std::string origin;  // of its joules
  std::vector<std::string> flags;
  StudyFigures figures;
  nlohmann::ordered_json settings;  // declared, resolved, observed
};

// `id`: of the attempt, which the Run carries as a tag.
[[nodiscard]] StudyVerdict judge_study_run(const std::string& run_path, const std::string& id,
                                           const study::Variant& variant, study::Kind kind);

// Figures in the order of tables and files, with what they are called there.
struct StudyColumn {
  const char* name;
  const char* unit;
};
[[nodiscard]] const std::vector<StudyColumn>& study_columns();

}  // namespace prony::app
