// What is asked of a plug over HTTP, whichever protocol it speaks: an answer in this time, of this size at most.
#pragma once

#include <cstddef>

#include "model/time.hpp"

namespace prony {

inline constexpr Duration plug_deadline = milliseconds(3000);
inline constexpr std::size_t most_plug_bytes = std::size_t{256} << 10;

}  // namespace prony
