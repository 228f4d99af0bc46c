// What a Run's joules come to by the factors that the user gave: grams of CO₂ equivalent and money. Without factors
// there is nothing to tell. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "reports/summary.hpp"

namespace prony {

// Of the headline's gross; empty where no factor was given or there are no joules.
[[nodiscard]] std::vector<std::string> footprint_words(const Summary& summary);
// null where there is nothing to tell.
[[nodiscard]] nlohmann::ordered_json footprint_json(const Summary& summary);

}  // namespace prony
