// parts: process
// Any text as cpu.stat, /proc/self/mountinfo and /proc/self/cgroup: what comes out is a path from the root or nothing,
// and no time is below zero.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "process/cgroup_texts.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto stat = prony::parse_cgroup_cpu_stat(text))
    if (stat->usage_us < 0 || stat->user_us < 0 || stat->system_us < 0) __builtin_trap();
  if (const auto mount = prony::cgroup2_mount_point(text))
    if (!mount->starts_with('/')) __builtin_trap();
  if (const auto path = prony::own_cgroup2_path(text))
    if (!path->empty() && !path->starts_with('/')) __builtin_trap();
  const std::string_view first = text.substr(0, size / 2);
  if (const auto group = prony::memory_group_v1(first, text.substr(first.size())))
    if (!group->starts_with('/')) __builtin_trap();
  return 0;
}
