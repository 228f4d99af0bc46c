// The longest time that one chunk of a Run covers, whatever it holds.
#pragma once

#include "model/time.hpp"

namespace prony {

inline constexpr Duration longest_chunk = milliseconds(600'000);

}  // namespace prony
