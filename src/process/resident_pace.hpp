// How often resident memory is read, of the measured command's tree and of every process that matters alike.
#pragma once

#include <cstdint>

#include "model/time.hpp"

namespace prony {

inline constexpr Duration resident_period = milliseconds(100);
inline constexpr std::int64_t resident_cost_factor = 200;  // a reading may take 1/200 of the time between two of them

}  // namespace prony
