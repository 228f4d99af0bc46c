// Calibration: the line between what software channels of one machine see and a better meter, as it is kept and as a
// Run holds it (the fact "calibration"). The steps are kept, and the line is fitted again from them by every reader.
// Pure; plain data. Errors: malformed; those of fit().
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "calibrate/compare.hpp"
#include "calibrate/fit.hpp"

namespace prony::calibrate {

// Of a modelled channel that a line was fitted to: with other figures the line would be another.
struct ModelFigures {
  std::string name;
  double cpus = 1, idle_w = 0, full_w = 0;
  bool clocks = false;  // the processor's clocks were read and entered its joules
};

struct Calibration {
  std::string meter;               // the channel, or "kWh meter, read by eye"
  std::vector<std::string> from;   // channels whose joules add up to x
  std::string taken_utc, version;  // when, and by which Prony
  std::string machine;             // processor and board: another one refuses it
  std::vector<Step> steps;
  std::optional<ModelFigures> model = {};  // of `from`, where that is a modelled channel
  bool whole_machine = false;              // the meter sees all that the machine draws
};

// What can be held against a meter: measured top-level channels without the meter and without meters of the whole
// machine; modelled ones where there are none.
[[nodiscard]] std::vector<const Channel*> software_channels(const std::vector<Channel>& channels,
                                                            std::string_view meter);

[[nodiscard]] std::string to_text(const Calibration& calibration);  // one line
[[nodiscard]] Result<Calibration> calibration_from_text(std::string_view text);

}  // namespace prony::calibrate
