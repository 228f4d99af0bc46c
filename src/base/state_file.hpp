// A file of Prony's own state: replaced as a whole, so that a reader sees the old text or the new one. It is the
// owner's alone (0600, missing folders 0700). No fsync: what a power cut takes is learned or measured again, and a slow
// disk would delay the end of every Run. Thread promise: any thread; two writers at once leave one of the two texts.
// Errors: denied, full, as the system tells them. `what` names the thing in the error: "the passport".
#pragma once

#include <filesystem>
#include <string_view>

#include "base/result.hpp"

namespace prony {

[[nodiscard]] Result<void> replace_state_file(const std::filesystem::path& file, std::string_view text,
                                              std::string_view what);

}  // namespace prony
