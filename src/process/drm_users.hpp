// DrmUsers: who uses graphics processors, out of the kernel's account of each client in /proc/PID/fdinfo. A client that
// several descriptors or processes show counts once, for the process that was seen with it first.
// What a client used between the last look and its end is not known; nor is what processes used whose descriptors may
// not be read. Where there are such, a look tells nothing of anybody, and nothing can be split by it.
// Units: ns of engine time, bytes. Thread promise: as DeviceUsers; the cards of one call are one thread's at a time.
// Ownership: the Machine must outlive them. Source: Documentation/gpu/drm-usage-stats.rst.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "sensors/device_users.hpp"

namespace prony {

// A card whose energy is measured: the address by which clients name it, and the domain of its channels.
struct DrmDomain {
  std::string address, domain;
};

// One for each card; they share their walk over the processes (milliseconds), which the first that is looked at makes.
[[nodiscard]] std::vector<std::unique_ptr<DeviceUsers>> make_drm_users(Machine& machine,
                                                                       const std::vector<DrmDomain>& cards);

}  // namespace prony
