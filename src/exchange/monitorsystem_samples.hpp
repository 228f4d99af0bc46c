// What MonitorSystem's samples of the hardware become, whichever of its files they stand in: a channel for each field
// that any of them has, a tick for each sample, the first at 0. A sample without a field is a gap. Thread promise: any.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "exchange/parsing.hpp"

namespace prony::exchange {

struct MonitorField {
  const char* field;
  const char* name;
  const char* domain;
  Measure measure;
  double most;          // in its unit; what is above is no reading
  double scale = 1e-4;  // of the channel: keeps bytes of the largest memory within 64 bits
};

struct MonitorSample {
  std::int64_t ns = 0;                        // later than that of the one before
  std::vector<std::optional<double>> values;  // by field
};

// `samples`: not empty.
void add_monitor_samples(Imported& out, std::span<const MonitorField> fields, std::span<const MonitorSample> samples);

}  // namespace prony::exchange
