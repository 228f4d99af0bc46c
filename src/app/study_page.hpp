// All that a study shows on one page of HTML: its variants, spreads, settings one by one and two by two, energy against
// speed and waiting, what rises together, power over time, and what was left out and why. One file for itself: nothing
// is fetched, nothing is run in it; what other programs need is in the CSV files beside it. Pure.
#pragma once

#include <string>
#include <vector>

#include "app/study_folder.hpp"
#include "app/study_traces.hpp"

namespace prony::app {

[[nodiscard]] std::string study_page(const StudyManifest& manifest, const std::vector<PowerTrace>& traces);

}  // namespace prony::app
