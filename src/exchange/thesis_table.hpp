// The tables of the thesis that LLenergyMeasure comes from ({suite}_results.csv), as its aggregate. Pure; internal to
// exchange.
#pragma once

#include "exchange/parsing.hpp"

namespace prony::exchange {

// A first line with the thesis's column of time in it.
[[nodiscard]] bool is_thesis_table(std::string_view bytes);
// A list as {task}_results.json has one, an entry a row. Errors: malformed.
[[nodiscard]] Result<Found> thesis_of_table(std::string_view bytes, std::vector<std::string>& notes);

}  // namespace prony::exchange
