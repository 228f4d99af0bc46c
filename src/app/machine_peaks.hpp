// What this machine computes and reads at most: as the user says it, or as `prony inspect --measure-machine` measured
// it in a process of its own (prony-peaks) and kept it. FLOP/s, bytes/s. Thread promise: one thread. Errors: usage,
// absent (none was measured; the program is not installed), malformed, unavailable (the benchmark did not end well).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "calibrate/peaks.hpp"
#include "model/manifest.hpp"

namespace prony::app {

// "312T", "312TFLOP/s", "2.04TB/s" → per second. `option` stands in the error.
[[nodiscard]] Result<double> rate_setting(const std::string& text, std::string_view option, std::string_view unit);

// Those that are kept of the machine that `facts` describe; absent: none were measured.
[[nodiscard]] Result<calibrate::MachinePeaks> kept_peaks(const Manifest& facts);

struct PeaksOptions {
  std::int32_t threads = 0;  // 0: one on each CPU that may be used
  bool json = false;
};
// `prony inspect --measure-machine` and --forget-machine; exit codes.
[[nodiscard]] int measure_machine(const PeaksOptions& options);
[[nodiscard]] int forget_machine();

}  // namespace prony::app
