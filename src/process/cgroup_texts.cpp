#include "process/cgroup_texts.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.hpp"

namespace prony {

namespace {

std::optional<std::int64_t> field(std::string_view text, std::string_view name) noexcept {
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!line.starts_with(name)) continue;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(line.data() + name.size(), line.data() + line.size(), value);
    const bool whole = error == std::errc() && end == line.data() + line.size();
    return whole && value >= 0 ? std::optional(value) : std::nullopt;
  }
  return std::nullopt;
}

// Blanks, tabs, line ends and backslashes in a path stand as three octal digits: "\040".
std::string unescaped(std::string_view text) {
  const auto octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && text[i + 1] <= '3' && octal(text[i + 1]) && octal(text[i + 2]) &&
        octal(text[i + 3])) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

// In a list with commas, such as a mount's options or the controllers of a hierarchy.
bool names_memory(std::string_view list) {
  const auto words = split(list, ',');
  return std::ranges::find(words, "memory") != words.end();
}

// "4:memory:/path" → "/path"; "": not there.
std::string_view own_memory_path(std::string_view own_groups) {
  for (const std::string_view line : split(own_groups, '\n')) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == line.npos ? first : line.find(':', first + 1);
    if (second != line.npos && names_memory(line.substr(first + 1, second - first - 1))) return line.substr(second + 1);
  }
  return {};
}

}  // namespace

std::optional<CgroupCpuStat> parse_cgroup_cpu_stat(std::string_view text) noexcept {
  const auto usage = field(text, "usage_usec "), user = field(text, "user_usec "), system = field(text, "system_usec ");
  if (!usage || !user || !system) return std::nullopt;
  return CgroupCpuStat{*usage, *user, *system};
}

std::optional<std::string> cgroup2_mount_point(std::string_view mountinfo) {
  for (const std::string_view line : split(mountinfo, '\n')) {
    const auto separator = line.find(" - ");
    if (separator == std::string_view::npos || !line.substr(separator + 3).starts_with("cgroup2 ")) continue;
    const auto words = split(line.substr(0, separator), ' ');  // id parent device root mount-point …
    if (words.size() > 4 && words[3] == "/" && words[4].starts_with('/')) return unescaped(words[4]);
  }
  return std::nullopt;
}

Result<std::string> own_cgroup2_path(std::string_view text) {
  for (const std::string_view line : split(text, '\n')) {
    if (!line.starts_with("0::/")) continue;
    const std::string path(line.substr(3));
    if (path.starts_with("/..") || path.ends_with(" (deleted)"))
      return fail(ErrorCode::unavailable, "our own cgroup lies outside of what is mounted here", path);
    return path == "/" ? std::string() : path;
  }
  return fail(ErrorCode::absent, "this process is in no cgroup v2", "/proc/self/cgroup");
}

std::optional<std::string> memory_group_v1(std::string_view mountinfo, std::string_view own_groups) {
  const std::string_view own = own_memory_path(own_groups);
  if (!own.starts_with('/') || own.starts_with("/..") || own.ends_with(" (deleted)")) return std::nullopt;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const auto separator = line.find(" - ");
    if (separator == std::string_view::npos) continue;
    const auto words = split(line.substr(0, separator), ' ');         // id parent device root mount-point …
    const auto file_system = split(line.substr(separator + 3), ' ');  // type source options
    if (words.size() < 5 || file_system.size() < 3 || file_system[0] != "cgroup" || !names_memory(file_system[2]))
      continue;
    const std::string root = words[3] == "/" ? std::string() : unescaped(words[3]);
    const std::string_view below = own == "/" ? std::string_view() : own;
    const bool within = below.starts_with(root) && (below.size() == root.size() || below[root.size()] == '/');
    if (within && words[4].starts_with('/')) return unescaped(words[4]) + std::string(below.substr(root.size()));
  }
  return std::nullopt;
}

}  // namespace prony
