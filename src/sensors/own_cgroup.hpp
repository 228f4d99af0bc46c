// The control group that Prony itself runs in, for version 1 and 2 of cgroups: where its files are and what limits it.
// Shared by the sensor `cgroup` and the manifest. Thread promise: as Machine; plain data.
// Source: Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, man 7 cgroups (/proc/PID/cgroup, mountinfo).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "machine/machine.hpp"

namespace prony {

struct CgroupFolder {
  std::string path;   // "/sys/fs/cgroup/user.slice", or that of one version 1 controller
  std::string group;  // as /proc/self/cgroup names it: "/user.slice"
  bool version_2 = false;
  bool top = false;  // the true root: it has no limits, and is the whole machine
};

// Where the group's files of a controller ("cpu", "cpuacct", "memory") are; nullopt: nowhere that Prony can see.
[[nodiscard]] std::optional<CgroupFolder> own_cgroup(Machine& machine, std::string_view controller);

struct CgroupLimits {
  std::optional<double> cpus;                // CPU time per second that the group may use
  std::optional<std::int64_t> memory_bytes;  // and memory
};
// The tightest of the group's and its ancestors' limits, as far as they can be seen.
[[nodiscard]] CgroupLimits own_cgroup_limits(Machine& machine);

struct MountPoint {
  std::string device;   // "8:1"
  std::string root;     // what of the file system is mounted: "/"
  std::string path;     // where
  std::string type;     // "ext4", "cgroup2"
  std::string source;   // "/dev/sda1", "server:/export"
  std::string options;  // of the file system: "rw,cpu,cpuacct"
};
// /proc/self/mountinfo in its order (later ones hide earlier ones); lines that are not of that form are left out.
[[nodiscard]] std::vector<MountPoint> mount_points(std::string_view mountinfo);

}  // namespace prony
