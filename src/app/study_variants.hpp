// The results of a study for other programs: what each figure of each variant comes to over its cycles, as CSV and as
// JSON lines, and the runs as JSON lines. Units: of the figures (app/study_judge.hpp). What is absent is an empty
// field, or not there. Pure.
#pragma once

#include <string>

#include "app/study_folder.hpp"

namespace prony::app {

// A row a variant and figure that any run of it has: n, mean, sd (n − 1), cv, Student's t and BCa intervals (95 %), and
// how many runs would have the t interval within ±5 % of the mean.
[[nodiscard]] std::string variants_csv(const StudyManifest& manifest);
// A line a variant.
[[nodiscard]] std::string variants_jsonl(const StudyManifest& manifest);
// A line a run, also of those that failed.
[[nodiscard]] std::string runs_jsonl(const StudyManifest& manifest);

}  // namespace prony::app
