// What a better meter would have shown: the Run's calibration applied to its joules. Derived, never added to anything,
// and never the headline. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/calibration.hpp"
#include "reports/summary.hpp"

namespace prony {

struct Calibrated {
  calibrate::Calibration calibration;
  calibrate::Line line;
  bool applied = false;   // that model's channel was recorded with the line in it: the joules are its own
  bool modelled = false;  // x is a model's: what was modelled is now derived
  bool outside = false;   // x lies outside the steps that were taken
  std::optional<Estimate> joules;
  std::string absent;  // why there are none
};
// nullopt: the Run holds no calibration.
[[nodiscard]] std::optional<Calibrated> calibrated_of(const Summary& summary);
[[nodiscard]] std::vector<std::string> calibrated_words(const Summary& summary);
// null where the Run holds none.
[[nodiscard]] nlohmann::ordered_json calibrated_json(const Summary& summary);

}  // namespace prony
