// Pages: what the collector shows, as JSON with units in its names; an absent value is left out. Thread promise: as
// Archive. Errors: those of the Archive.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "collect/archive.hpp"

namespace prony::collect {

// Everybody who has sent something, with counts and the offset of the clock.
[[nodiscard]] Result<std::string> clients_page(Archive& archive, std::int64_t now_wall_ns);
// One of them, its streams and the newest of what they measure; nullopt: nobody is called so.
[[nodiscard]] Result<std::optional<std::string>> client_page(Archive& archive, const std::string& client,
                                                             std::int64_t now_wall_ns);
// The counters of all streams together. A machine that several monitors watched at the same time is counted once.
[[nodiscard]] Result<std::string> totals_page(Archive& archive);

}  // namespace prony::collect
