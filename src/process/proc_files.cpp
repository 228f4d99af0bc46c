#include "process/proc_files.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include "base/fd.hpp"
#include "base/text.hpp"

namespace prony {

namespace {

// Up to `size` bytes of /proc/PID/NAME into `buffer`.
std::string_view read_file(pid_t pid, const char* name, char* buffer, std::size_t size) noexcept {
  char path[64] = {};
  std::snprintf(path, sizeof path, "/proc/%d/%s", static_cast<int>(pid), name);
  const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return {};
  std::size_t length = 0;
  while (length < size) {
    const auto got = ::read(file.get(), buffer + length, size - length);
    if (got <= 0) break;
    length += static_cast<std::size_t>(got);
  }
  return {buffer, length};
}

template <class Number>
bool parse(std::string_view word, Number& number, int base = 10) noexcept {
  const auto parsed = std::from_chars(word.data(), word.data() + word.size(), number, base);
  return parsed.ec == std::errc() && parsed.ptr == word.data() + word.size() && !word.empty();
}

bool ancestor_is(pid_t pid, pid_t root) noexcept {
  for (int depth = 0; depth < 1000 && pid > 1; ++depth) {
    const auto stat = read_process_stat(pid);
    if (!stat) return false;
    if (stat->parent == root) return true;
    pid = stat->parent;
  }
  return false;
}

}  // namespace

std::optional<ProcessStat> parse_process_stat(std::string_view text) noexcept {
  const auto open = text.find('('), close = text.rfind(')');  // a name may hold spaces and brackets of its own
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::nullopt;
  ProcessStat stat;
  auto head = text.substr(0, open);
  if (!parse(next_word(head), stat.pid)) return std::nullopt;
  const auto name = text.substr(open + 1, std::min<std::size_t>(close - open - 1, stat.name.size() - 1));
  std::copy(name.begin(), name.end(), stat.name.begin());
  auto rest = text.substr(close + 1);
  const auto state = next_word(rest);
  if (state.size() != 1) return std::nullopt;
  stat.state = state.front();
  if (!parse(next_word(rest), stat.parent)) return std::nullopt;
  for (int field = 5; field <= 22; ++field) {
    const auto word = next_word(rest);
    std::uint64_t* wanted = nullptr;
    switch (field) {
      case 14: wanted = &stat.user_ticks; break;
      case 15: wanted = &stat.system_ticks; break;
      case 16: wanted = &stat.children_user_ticks; break;
      case 17: wanted = &stat.children_system_ticks; break;
      case 20: wanted = &stat.threads; break;
      case 22: wanted = &stat.start_ticks; break;
      default: break;
    }
    if (word.empty() || (wanted != nullptr && !parse(word, *wanted))) return std::nullopt;
  }
  return stat;
}

std::optional<ProcessStat> read_process_stat(pid_t pid) noexcept {
  char buffer[1024];
  return parse_process_stat(read_file(pid, "stat", buffer, sizeof buffer));
}

std::int64_t ns_per_tick() noexcept { return 1'000'000'000 / std::max(1L, ::sysconf(_SC_CLK_TCK)); }

std::optional<std::uint64_t> read_resident_bytes(pid_t pid) noexcept {
  char buffer[256];
  auto text = read_file(pid, "statm", buffer, sizeof buffer);
  next_word(text);
  std::uint64_t pages = 0;
  if (!parse(next_word(text), pages)) return std::nullopt;
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::optional<std::uint64_t> parse_status_field(std::string_view text, std::string_view name, int base) noexcept {
  while (!text.empty()) {
    auto line = text.substr(0, std::min(text.find('\n'), text.size()));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ':') continue;
    line.remove_prefix(name.size() + 1);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    std::uint64_t value = 0;
    if (!parse(line.substr(0, std::min(line.find(' '), line.size())), value, base)) return std::nullopt;
    return value;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> read_proportional_bytes(pid_t pid) noexcept {
  char buffer[2048];
  const auto kibibytes = parse_status_field(read_file(pid, "smaps_rollup", buffer, sizeof buffer), "Pss", 10);
  return kibibytes ? std::optional(*kibibytes * 1024) : std::nullopt;
}

std::optional<std::uint64_t> read_peak_resident_bytes(pid_t pid) noexcept {
  char buffer[4096];
  const auto kibibytes = parse_status_field(read_file(pid, "status", buffer, sizeof buffer), "VmHWM", 10);
  return kibibytes ? std::optional(*kibibytes * 1024) : std::nullopt;
}

bool ignores_child_exits(pid_t pid) noexcept {
  char buffer[4096];
  const auto mask = parse_status_field(read_file(pid, "status", buffer, sizeof buffer), "SigIgn", 16);
  return mask && ((*mask >> (SIGCHLD - 1)) & 1U) != 0;
}

bool for_each_number_in(const char* directory, void* context, void (*each)(void*, pid_t)) noexcept {
  struct Entry {  // linux_dirent64, getdents64(2)
    std::uint64_t inode;
    std::int64_t offset;
    unsigned short length;
    unsigned char type;
  };
  const Fd fd(::open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return false;
  alignas(8) char buffer[8192];
  while (true) {
    const auto got = ::syscall(SYS_getdents64, fd.get(), buffer, sizeof buffer);
    if (got <= 0) return got == 0;
    for (long at = 0; at < got;) {
      Entry entry{};
      std::memcpy(&entry, buffer + at, offsetof(Entry, type));
      const char* name = buffer + at + offsetof(Entry, type) + 1;
      pid_t number = 0;
      if (parse(std::string_view(name), number)) each(context, number);
      at += entry.length;
    }
  }
}

bool append_children(pid_t pid, std::vector<pid_t>& children) {
  struct Context {
    pid_t pid;
    std::vector<pid_t>& children;
    bool read_one = false;
  } context{pid, children};
  char path[32] = {};
  std::snprintf(path, sizeof path, "/proc/%d/task", static_cast<int>(pid));
  for_each_number_in(path, &context, [](void* opaque, pid_t thread) {
    auto& self = *static_cast<Context*>(opaque);
    char name[48] = {};
    std::snprintf(name, sizeof name, "/proc/%d/task/%d/children", static_cast<int>(self.pid), static_cast<int>(thread));
    const Fd file(::open(name, O_RDONLY | O_CLOEXEC));
    if (!file.valid()) return;
    self.read_one = true;
    char buffer[4096];
    std::size_t kept = 0;  // a number cut by the end of the buffer
    while (true) {
      const auto got = ::read(file.get(), buffer + kept, sizeof buffer - kept);
      if (got <= 0) return;
      std::string_view text(buffer, kept + static_cast<std::size_t>(got));
      const auto whole = text.rfind(' ');
      auto numbers = text.substr(0, whole == std::string_view::npos ? 0 : whole);
      for (pid_t child = 0; parse(next_word(numbers), child);) self.children.push_back(child);
      kept = text.size() - (whole == std::string_view::npos ? 0 : whole + 1);
      std::memmove(buffer, buffer + (text.size() - kept), kept);
    }
  });
  return context.read_one;
}

void append_descendants(pid_t root, std::vector<pid_t>& descendants) {
  std::size_t next = descendants.size();
  if (append_children(root, descendants)) {
    for (; next < descendants.size() && next < 100'000; ++next) append_children(descendants[next], descendants);
    return;
  }
  if (::access("/proc/self/task", F_OK) != 0 || ::access("/proc/thread-self/children", F_OK) == 0) return;
  struct Context {  // a kernel without CONFIG_PROC_CHILDREN: ask every process for its parents
    pid_t root;
    std::vector<pid_t>& descendants;
  } context{root, descendants};
  for_each_number_in("/proc", &context, [](void* opaque, pid_t pid) {
    auto& self = *static_cast<Context*>(opaque);
    if (ancestor_is(pid, self.root)) self.descendants.push_back(pid);
  });
}

std::vector<pid_t> find_by_environment(std::string_view key_and_value) {
  struct Context {
    std::string_view wanted;
    std::vector<char> buffer;
    std::vector<pid_t> found;
  } context{key_and_value, std::vector<char>(256 * 1024), {}};
  for_each_number_in("/proc", &context, [](void* opaque, pid_t pid) {
    auto& self = *static_cast<Context*>(opaque);
    const auto text = read_file(pid, "environ", self.buffer.data(), self.buffer.size());
    for (auto at = text.find(self.wanted); at != std::string_view::npos; at = text.find(self.wanted, at + 1)) {
      const bool begins = at == 0 || text[at - 1] == '\0';
      const auto end = at + self.wanted.size();
      if (begins && (end == text.size() || text[end] == '\0')) {
        self.found.push_back(pid);
        return;
      }
    }
  });
  return context.found;
}

}  // namespace prony
