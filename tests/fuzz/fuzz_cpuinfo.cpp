// parts: sensors
// Any text as /proc/cpuinfo, and its first line as a processor's name: whatever it says, the modelled watts stand in
// order (0 < idle low ≤ idle ≤ idle high, the same for full load, idle ≤ full) and are finite.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "sensors/cpu_power_table.hpp"

namespace {

void check(const prony::PowerModel& model) {
  const double idle[] = {model.idle_low.value(), model.idle.value(), model.idle_high.value()};
  const double full[] = {model.full_low.value(), model.full.value(), model.full_high.value()};
  for (int i = 0; i < 3; ++i) {
    if (!std::isfinite(idle[i]) || !std::isfinite(full[i]) || idle[i] <= 0) std::abort();
    if (idle[i] > full[i] || (i > 0 && (idle[i - 1] > idle[i] || full[i - 1] > full[i]))) std::abort();
  }
  if (model.name.empty() || model.source.empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  auto processor = prony::processor_id(text);
  for (int round = 0; round < 2; ++round) {
    for (const bool guest : {false, true}) {
      processor.hypervisor = guest;
      check(prony::power_model_for(processor, {.cpus = 1}));
      check(prony::power_model_for(processor, {.cpus = 256, .clock_limit = 0.25, .clock_floor = 0.5}));
    }
    processor.model_name = text.substr(0, text.find('\n'));
    processor.board = processor.model_name;
  }
  return 0;
}
