// A study's manifest before its first run, and whether a plan still is the one that a manifest was begun with. Thread
// promise: one thread. Errors: usage, with what differs.
#pragma once

#include <string>

#include "app/study_folder.hpp"
#include "base/result.hpp"
#include "study/plan.hpp"

namespace prony::app {

// With an id of its own, this host and directory, the plan's variants and runs; which file it is of says the caller.
[[nodiscard]] std::string this_host();
[[nodiscard]] StudyManifest fresh_manifest(const study::Plan& plan);
// The file may say more cycles, other gaps and limits; what is measured may not have changed.
[[nodiscard]] Result<void> same_design(const study::Plan& plan, const StudyManifest& manifest, const std::string& file);

}  // namespace prony::app
