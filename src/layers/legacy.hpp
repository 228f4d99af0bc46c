// EdgeProfiler's mapping of power to layers (its final rule, December 2024), to the digit, so that old data can be read
// again and held against what can be known. What it says is not true of layers: a layer's end is taken from when its
// time was told, and its watts are the mean of readings that each average whole inferences (docs/layers-energy.md).
//
// Rule: the end of a layer is its stamp, its beginning the end less its duration (rounded to microseconds as Python's
// timedelta does). Inference by inference, layers in the order of the file, one pointer walks through the power log and
// never goes back: readings before the beginning are passed over, those up to the end are averaged. No reading: no
// power. Where the log is over the row is written with what it has, and the mapping stops. Pure, one pass, any thread.
// Cost: a power log is read once and not kept; layers' times must be there.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "layers/edgeprofiler.hpp"
#include "layers/recording.hpp"

namespace prony::layers {

struct LegacyRow {
  std::size_t cycle = 0;  // from 1
  std::size_t layer = 0;  // of the recording
  std::optional<double> with_idle_uw, without_idle_uw;
  double ms = 0;
};

struct LegacyCount {
  std::size_t rows = 0, with_power = 0, readings = 0, bad_lines = 0;
  bool log_ended = false;  // before the last layer: rows after it are missing, as in EdgeProfiler
};

// As Python's timedelta(milliseconds=…): whole microseconds, halves to even.
[[nodiscard]] std::int64_t python_milliseconds(double ms) noexcept;

// Errors: unavailable (layers without times), malformed (a line of the log, which EdgeProfiler refuses too; an empty
// log).
[[nodiscard]] Result<LegacyCount> map_legacy(const Recording& recording, PowerLog& log, double idle_uw,
                                             const std::function<void(const LegacyRow&)>& row);

}  // namespace prony::layers
