// The end of a study told to a command that its file names; nothing is told by itself, and nothing leaves the machine
// but by that command. Thread promise: one thread, the main one. Errors: unavailable, where it failed or took longer
// than a minute (then it is ended); the study's own end stays what it was.
#pragma once

#include <string>

#include "app/study_folder.hpp"
#include "base/result.hpp"
#include "base/spawn.hpp"

namespace prony::app {

// As /bin/sh -c, with PRONY_STUDY_NAME, _STATUS, _WHY, _FOLDER, _DONE and _RUNS; what it prints is in notify.log there.
[[nodiscard]] Result<void> tell_of_end(const std::string& command, const StudyManifest& manifest,
                                       const StudyFolder& folder, const SignalState& signals);

}  // namespace prony::app
