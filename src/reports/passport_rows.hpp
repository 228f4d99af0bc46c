// Passports as JSON and as a table: the same names with their units in both; what is not known is left out, and
// `absent` says why. Thread promise: pure functions. Ownership: what they return owns everything.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "model/passport.hpp"
#include "model/table.hpp"

namespace prony {

[[nodiscard]] nlohmann::ordered_json to_json(const ChannelPassport& passport);
[[nodiscard]] std::unique_ptr<Table> passports_table(const std::vector<ChannelPassport>& passports);

}  // namespace prony
