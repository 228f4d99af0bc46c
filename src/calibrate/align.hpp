// align(): by how much the clock of a meter is off, from the shape of what it saw against the shape of what the machine
// saw of itself. The offset is where the two correlate most; it is refused where another one would do nearly as well (a
// load that repeats itself, or none). Pure; seconds and watts; any thread. Errors: usage (too little to go by),
// malformed (no offset fits, or several do), with what would.
//
// Told beside it: the residual of meter = a + b · seen at that offset, and the offset's doubt: that residual over the
// slope of the curve, widened where residuals follow each other, and the step of the grid (Cramér–Rao for a delay in
// noise that is not white; docs/sensors/line-meter.md).
#pragma once

#include <vector>

#include "base/result.hpp"

namespace prony::calibrate {

struct PowerSeries {
  std::vector<double> at_s;   // ascending
  std::vector<double> value;  // watts, or anything that rises with them
};

struct AlignOptions {
  double guess_s = 0;    // what is added to the meter's times at first
  double within_s = 60;  // how far from the guess the offset may be
};

struct Alignment {
  double offset_s = 0;          // to be added to the meter's times
  double doubt_s = 0;           // 95 %: the truth is within so much on either side
  double correlation = 0;       // at the offset
  double next_correlation = 0;  // the best of all offsets that are not near it
  double residual_w = 0;        // RMS of what meter = a + b · seen leaves
  double overlap_s = 0;         // in which both saw something
};

[[nodiscard]] Result<Alignment> align(const PowerSeries& seen, const PowerSeries& meter, const AlignOptions& options);

}  // namespace prony::calibrate
