// What a study tells at its end: a table for people, a row per run and figure and a row per run for programs. From the
// manifest alone. Pure but for writing files. Means are over cycles; sd has n − 1; intervals are Student's t, 95 %.
#pragma once

#include <string>

#include "app/study_folder.hpp"
#include "base/result.hpp"

namespace prony::app {

[[nodiscard]] std::string study_table(const StudyManifest& manifest, std::size_t width, bool colour);
[[nodiscard]] std::string study_csv_long(const StudyManifest& manifest);
[[nodiscard]] std::string study_csv_wide(const StudyManifest& manifest);
// All results_… files of the folder: tables for programs, a picture, and a page of HTML.
[[nodiscard]] Result<void> write_study_results(const StudyFolder& folder, const StudyManifest& manifest);
// Of one finished run: "3.2 s · 0.0111 J/token ~ · 1 955 token/s".
[[nodiscard]] std::string study_run_words(const StudyAttempt& attempt);

}  // namespace prony::app
