// The passports of one machine as a file: JSON, one file per machine, replaced as a whole. Nothing secret is in it, yet
// it is the owner's alone (0600). Thread promise: pure or one thread. Errors: absent (there is none yet), malformed
// (damaged, of another format or another machine: learn again), denied, full.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "model/manifest.hpp"
#include "model/passport.hpp"

namespace prony::passport {

// Identity and facts, no channels. `root` tells trees that stand in for /sys and /proc from the real ones; "" for
// those.
[[nodiscard]] MachinePassport identify(const Manifest& machine_facts, std::string_view root);
// Below $XDG_STATE_HOME, or ~/.local/state (the two values as the environment gives them, "" for unset); empty path:
// neither is known.
[[nodiscard]] std::filesystem::path file_of(std::string_view xdg_state_home, std::string_view home,
                                            std::string_view identity);

// What the file says of the machine `identity`. `boot_id`: phases of another boot are dropped.
[[nodiscard]] Result<MachinePassport> load(const std::filesystem::path& file, std::string_view identity,
                                           std::string_view boot_id);
[[nodiscard]] Result<void> save(const std::filesystem::path& file, const MachinePassport& passport);

[[nodiscard]] std::string to_text(const MachinePassport& passport);
[[nodiscard]] Result<MachinePassport> from_text(std::string_view text);

}  // namespace prony::passport
