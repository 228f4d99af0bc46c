// Carries a plan of `prony setup` out and back. Before the first step the whole plan is written to a file below
// /var/lib/prony, with what each thing was before: whatever happens in the middle, `--undo` finds it. What somebody
// else changed since is left alone and said. Thread promise: one thread. Errors: of the step that failed; what had been
// done is taken back then, or named.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "app/setup_plan.hpp"
#include "base/result.hpp"

namespace prony::app {

using SetupTold = std::function<void(const std::string& line)>;  // told of each step as it is done

[[nodiscard]] Result<void> apply_setup(const std::string& root, std::string_view name,
                                       const std::vector<SetupStep>& steps, const SetupTold& told);
// Newest first. Error absent: nothing is on record.
[[nodiscard]] Result<void> undo_setup(const std::string& root, std::string_view name, const SetupTold& told);
// What --undo would take back, oldest first.
[[nodiscard]] Result<std::vector<SetupStep>> recorded_setup(const std::string& root, std::string_view name);

}  // namespace prony::app
