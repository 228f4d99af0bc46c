#include "process/cgroup_texts.hpp"

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

}  // namespace prony
