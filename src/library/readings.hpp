// One channel's readings as an Arrow C stream, in batches of bounded memory. The Run must outlive the stream. Errors of
// the stream: an errno value, and words from get_last_error.
#pragma once

#include <prony/arrow.h>

#include <string>

#include "base/result.hpp"
#include "store/run.hpp"

namespace prony::library {

inline constexpr std::int64_t readings_batch_rows = std::int64_t{1} << 18;

// usage: no such channel; the nearest is named.
[[nodiscard]] Result<void> stream_readings(const Run& run, const std::string& channel, Interval during,
                                           ArrowArrayStream& out, std::int64_t batch_rows = readings_batch_rows);

}  // namespace prony::library
