// What the kernel writes about control groups (version 2; of version 1 the memory's), as text → values. A process can
// be in a group of any name, and a container can be given any mount. Thread promise: pure functions. Source:
// cgroups(7), proc(5), cgroup-v2.rst.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace prony {

struct CgroupCpuStat {
  std::int64_t usage_us = 0, user_us = 0, system_us = 0;
};
// cpu.stat; nothing where one of the three is missing, negative or no number.
[[nodiscard]] std::optional<CgroupCpuStat> parse_cgroup_cpu_stat(std::string_view text) noexcept;

// Of /proc/self/mountinfo: where the cgroup2 file system is mounted whose root is the one that our own path begins at.
[[nodiscard]] std::optional<std::string> cgroup2_mount_point(std::string_view mountinfo);

// Of /proc/self/cgroup: our own group's path below that mount, "" for the root. Errors: `unavailable` if it lies
// outside of what is mounted here or was removed; `absent` without version 2.
[[nodiscard]] Result<std::string> own_cgroup2_path(std::string_view text);

// Of both texts: the folder of our own group in the hierarchy of version 1 that limits memory; nothing where there is
// none, where it lies outside of what is mounted here, or was removed.
[[nodiscard]] std::optional<std::string> memory_group_v1(std::string_view mountinfo, std::string_view own_groups);

}  // namespace prony
