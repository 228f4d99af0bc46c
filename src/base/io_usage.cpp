// /proc/PID/io → IoUsage (declared in spawn.hpp, because a Child reads it between a program's end and its reaping).
#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <string_view>

#include "base/spawn.hpp"

namespace prony {

namespace {

std::optional<std::uint64_t> field(std::string_view text, std::string_view name) noexcept {
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    if (line.starts_with(name)) {
      std::uint64_t value = 0;
      const char* end = line.data() + line.size();
      const auto parsed = std::from_chars(line.data() + name.size(), end, value);
      if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
      return value;
    }
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
  }
  return std::nullopt;
}

}  // namespace

std::optional<IoUsage> read_io_usage(pid_t pid) noexcept {
  char path[32] = {};
  std::snprintf(path, sizeof path, "/proc/%d/io", static_cast<int>(pid));
  const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
  char buffer[512] = {};
  const auto got = file.valid() ? ::read(file.get(), buffer, sizeof buffer) : -1;
  if (got <= 0) return std::nullopt;
  const std::string_view text(buffer, static_cast<std::size_t>(got));
  const auto rchar = field(text, "rchar: "), wchar = field(text, "wchar: ");
  const auto read_bytes = field(text, "read_bytes: "), write_bytes = field(text, "write_bytes: ");
  if (!rchar || !wchar || !read_bytes || !write_bytes) return std::nullopt;
  return IoUsage{*read_bytes, *write_bytes, *rchar, *wchar};
}

}  // namespace prony
