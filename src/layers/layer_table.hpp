// CSV tables of layers: any with a column of names and one of times, EdgeProfiler's predictions, and those that Prony
// writes itself (`prony layers --csv`, `prony layers import --csv`), whose rows of what no layer has, and of the whole,
// are no layers. Units: times in the file by the end of their column's name (_ms, _us, _ns, _s), milliseconds here.
// Errors: malformed (no time, or several that may be meant: named; a data set of several networks), full. Pure.
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "layers/byte_source.hpp"
#include "layers/recording.hpp"

namespace prony::layers {

// Whether a first line is that of a table of layers: one that cannot be taken is still one, and read_table says why.
[[nodiscard]] bool begins_layer_table(std::string_view line);

// A header with "layer", "name" or "layer_name", a column of times that names its unit at its end (time_ms, duration_us
// …) and perhaps "type" or "op". A name that stands there again is the next inference. Instants, deviations and bounds
// (start_us, sd_ms, max_ms) are never taken for a time. EdgeProfiler's predictions (power_prediction,
// runtime_prediction, layer_name, layer_type: watts and milliseconds) are such a table, and say so.
[[nodiscard]] Result<Recording> read_table(ByteSource& source);

}  // namespace prony::layers
