// `prony study`: many runs by one file. Each is a fresh `prony llm` or `prony run`; what is done survives a kill.
#pragma once

#include <functional>
#include <string>

#include "app/study_folder.hpp"
#include "app/subcommand.hpp"
#include "study/plan.hpp"

namespace prony::app {

[[nodiscard]] std::function<int(const CommandWords&)> add_study(CLI::App& command);
// The page `prony help study`.
[[nodiscard]] std::string study_help_text();

// The words that a study file may hold: the options of `prony llm` and `prony run` as they are.
[[nodiscard]] study::Vocabulary study_words();
// What --dry-run says: how many runs in which order, how long, how much memory. `before`: an earlier manifest, whose
// runs tell how long one takes; may be null.
[[nodiscard]] std::string study_preview(const study::Plan& plan, const StudyManifest* before, bool settings,
                                        std::size_t width);

}  // namespace prony::app
