// Meter: measures a process into a Run, in threads of this program or by a `prony` of its own. Nothing is printed.
// Thread promise: one thread at a time. Ownership: owns all that it starts; destroying one that runs stops it.
// Errors: those of opening sensors and the Run; usage (options); unavailable (the recorder failed).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "model/time.hpp"

namespace prony::library {

struct MeterOptions {
  bool own_process = false;
  bool force = false, environment = false, every_channel = false, kept_baseline = false, leave_spans = false;
  std::string out;  // empty: runs/<utc>-<name>.prony
  std::string name = "program";
  std::string sensors, simulate;
  Duration interval = milliseconds(10);
  Duration baseline;
  std::int64_t pid = 0;  // whom to measure; never 0 once it is checked
  std::string program;   // the `prony` to start; empty: where it is looked for
};

class Meter {
 public:
  virtual ~Meter() = default;
  [[nodiscard]] virtual Result<void> start() = 0;
  [[nodiscard]] virtual Result<void> stop() = 0;
  [[nodiscard]] virtual const std::string& path() const noexcept = 0;  // "" before start
  [[nodiscard]] virtual const std::string& spans_path() const noexcept = 0;
};

[[nodiscard]] Result<std::unique_ptr<Meter>> make_thread_meter(MeterOptions options);
[[nodiscard]] Result<std::unique_ptr<Meter>> make_process_meter(MeterOptions options);

}  // namespace prony::library
