// Power over time of a study's variants, each by its first finished run, from the Runs in its folder: means over equal
// parts of the run, so that pauses and beginnings can be seen beside each other. Thread promise: one thread. Units:
// seconds, watts. A Run that cannot be read, or has no power, is left out.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/study_folder.hpp"

namespace prony::app {

struct PowerTrace {
  std::string variant, origin;
  double length_s = 0;
  std::vector<double> watts;  // of equal parts of it, one after another
};
// Of the first eight variants that have one; `folder`: of the study.
[[nodiscard]] std::vector<PowerTrace> power_traces(const std::filesystem::path& folder, const StudyManifest& manifest);

// All in one picture for a page that has the style sheet; "": there is none. Joules of one origin alone.
[[nodiscard]] std::string trace_chart(const std::vector<PowerTrace>& traces);

}  // namespace prony::app
