// Calibration: the line between what software channels of one machine see and a better meter, as it is kept and as a
// Run holds it (the fact "calibration"). The steps are kept, and the line is fitted again from them by every reader.
// Pure; plain data. Errors: malformed; those of fit().
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "calibrate/compare.hpp"
#include "calibrate/fit.hpp"

namespace prony::calibrate {

struct Calibration {
  std::string meter;               // the channel, or "kWh meter, read by eye"
  std::vector<std::string> from;   // channels whose joules add up to x
  std::string taken_utc, version;  // when, and by which Prony
  std::string machine;             // processor and board: another one refuses it
  std::vector<Step> steps;
};

// What can be held against a meter: measured top-level channels without the meter and without meters of the whole
// machine; modelled ones where there are none.
[[nodiscard]] std::vector<const Channel*> software_channels(const std::vector<Channel>& channels,
                                                            std::string_view meter);

[[nodiscard]] std::string to_text(const Calibration& calibration);  // one line
[[nodiscard]] Result<Calibration> calibration_from_text(std::string_view text);

}  // namespace prony::calibrate
