// DeviceUsers: who uses a device that is not the processor (a GPU), process by process, as its driver tells. Sensors
// that know it are DeviceUsers too; whose the processes are is for others to say (process/device_use.hpp).
// Units: ns of the device's time, bytes of its memory. Thread promise: one thread at a time, which need not be that of
// the sensor's own reads. Errors: a look that could not be made says nothing of anybody.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace prony {

struct DeviceUse {
  std::int64_t pid = 0;
  std::int64_t used_ns = 0;        // since the look before: share of its units' time × length
  std::uint64_t memory_bytes = 0;  // held now; 0: none, or not told
  bool holds = false;              // has the device open, used or not
};

class DeviceUsers {
 public:
  virtual ~DeviceUsers() = default;
  [[nodiscard]] virtual const std::string& users_device() const noexcept = 0;  // as its channels': a UUID
  [[nodiscard]] virtual const std::string& users_domain() const noexcept = 0;  // as that of its energy: "gpu-0"
  // Why it cannot be told here, in a sentence; "": it can.
  [[nodiscard]] virtual std::string why_no_users() = 0;
  // Everybody who used it or holds it, in place of what `out` held. False: the driver did not answer.
  [[nodiscard]] virtual bool look_at_users(std::vector<DeviceUse>& out) = 0;
};

}  // namespace prony
