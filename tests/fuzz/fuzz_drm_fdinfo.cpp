// parts: machine
// Any text as /proc/PID/fdinfo/FD: at most 32 engines, each with a name and a capacity, and a sum that no engine
// exceeds.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "machine/drm_fdinfo.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto client = prony::parse_drm_fdinfo({reinterpret_cast<const char*>(data), size});
  if (!client) return 0;
  if (client->driver.empty() || client->engines.size() > 32) std::abort();
  const auto sum = prony::drm_busy_ns(*client);
  for (const auto& engine : client->engines) {
    if (engine.name.empty() || engine.capacity == 0) std::abort();
    if (sum && engine.busy_ns && *engine.busy_ns > *sum) std::abort();
  }
  return 0;
}
